"""What in a dashboard's JSON is against Grafana's schema, and the expressions that it asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

(SCHEMAS,) = Path(__file__).parent.glob("schemas/grafana-*")
"""Of the Grafana whose version it ends with; made by scripts/grafana-schema."""


@cache
def _validator() -> jsonschema.Draft7Validator:
    schema = json.loads((SCHEMAS / "dashboard.json").read_text(encoding="utf-8"))
    return jsonschema.Draft7Validator(schema)


def problems(data: dict[str, Any]) -> list[str]:
    """What Grafana's own types do not have, in the dashboard and, for each panel, in the options,
    the fields of its kind and its queries: keys that nobody knows, keys that are missing, values of
    another type, words that are none of those allowed."""
    return [_told(error) for error in _validator().iter_errors(data)]


def _told(error: jsonschema.ValidationError) -> str:
    """Of something that may be one of several, what is wrong with it as that which it most is."""
    while error.context:
        kinds: dict[object, list[jsonschema.ValidationError]] = {}
        for one in error.context:
            kinds.setdefault(one.schema_path[0], []).append(one)
        error = min(kinds.values(), key=_strangeness)[0]
    return f"{error.json_path}: {error.message}"


def _strangeness(errors: list[jsonschema.ValidationError]) -> tuple[bool, int]:
    another_kind = any(list(one.path)[-1:] == ["type"] for one in errors)
    return another_kind, len(errors)


def expressions(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each PromQL expression of a dashboard and where it stands; a variable's as the selector of
    the series whose values it lists."""
    for one in data["templating"].get("list", ()):
        series, _, _ = one["query"].removeprefix("label_values(").rpartition(",")
        yield f"variable {one['name']}", series
    for one in data["annotations"]["list"]:
        yield f"annotation {one['name']}", one["expr"]
    for panel in data["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]
