"""Grafana's schema of dashboards, as its own library has it in types, and what in a file is
against it; and the expressions that a dashboard asks."""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

register_default_plugins()
BESIDE = {"titleFormat"}
"""What Grafana's Prometheus source takes and the schema does not know."""
_PLAIN = (str, int, float, bool, type(None))


def problems(data: dict[str, Any]) -> list[str]:
    """What in a dashboard's JSON no Grafana would understand: keys that nobody knows, values of
    another type, words that are none of those allowed."""
    try:
        made = Dashboard.from_json(data)
        back = json.loads(json.dumps(made, cls=JSONEncoder))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return [f"$: {error!r}"]
    return [*_lost(data, back, "$"), *_wrong(made, Dashboard, "$")]


def _lost(data: object, back: object, path: str) -> Iterator[str]:
    """What the library did not take from `data`."""
    if isinstance(data, dict) and isinstance(back, dict):
        for key, value in data.items():
            if key in back:
                yield from _lost(value, back[key], f"{path}.{key}")
            elif key not in BESIDE:
                yield f"{path}.{key}: nobody knows it"
    elif isinstance(data, list) and isinstance(back, list) and len(data) == len(back):
        for at, pair in enumerate(zip(data, back, strict=True)):
            yield from _lost(*pair, f"{path}[{at}]")
    elif data != back:
        yield f"{path}: {data!r} became {back!r}"


def _wrong(value: object, hint: Any, path: str) -> Iterator[str]:
    """Where `value` is not what `hint` says."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        found = [list(_wrong(value, one, path)) for one in typing.get_args(hint)]
        yield from min(found, key=len)
    elif origin is typing.Literal:
        if value not in typing.get_args(hint):
            yield f"{path}: {value!r} is none of {typing.get_args(hint)}"
    elif origin in (list, dict):
        yield from _wrong_many(value, origin, typing.get_args(hint)[-1], path)
    elif hint in (typing.Any, object) or hasattr(value, "to_json"):
        yield from _wrong_parts(value, path)
    elif isinstance(hint, type):
        yield from _wrong_plain(value, hint, path)


def _wrong_many(value: object, kind: type, hint: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict) and kind is dict:
        for key, one in value.items():
            yield from _wrong(one, hint, f"{path}.{key}")
    elif isinstance(value, list) and kind is list:
        for at, one in enumerate(value):
            yield from _wrong(one, hint, f"{path}[{at}]")
    else:
        yield f"{path}: {value!r} is no {kind.__name__}"


def _wrong_parts(value: object, path: str) -> Iterator[str]:
    if hasattr(value, "to_json"):
        for name, hint in typing.get_type_hints(type(value)).items():
            yield from _wrong(getattr(value, name), hint, f"{path}.{name}")


def _wrong_plain(value: object, hint: type, path: str) -> Iterator[str]:
    if issubclass(hint, enum.Enum):
        if value not in [one.value for one in hint]:
            yield f"{path}: {value!r} is no {hint.__name__}"
    elif hasattr(hint, "from_json"):
        if isinstance(value, dict):
            yield from _wrong_parts(hint.from_json(value), path)
        else:
            yield f"{path}: {value!r} is no {hint.__name__}"
    elif hint in _PLAIN:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole if hint is int else isinstance(value, hint) or (hint is float and whole)):
            yield f"{path}: {value!r} is no {hint.__name__}"


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
