"""The published schemas are those of the code. `vigia config schema --all docs/schemas` writes
them anew."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from contracts.schemas import published

FOLDER = Path(__file__).parent.parent.parent / "docs" / "schemas"


OLD = {"vigia.frame.v1.headers.json"}
"""Of versions that nobody writes any more; they stay as they were."""


def test_every_schema_is_published() -> None:
    assert {file.name for file in FOLDER.glob("*.json")} == published().keys() | OLD


@pytest.mark.parametrize("name", published())
def test_the_published_schema_is_that_of_the_code(name: str) -> None:
    assert json.loads((FOLDER / name).read_text(encoding="utf-8")) == published()[name]


@pytest.mark.parametrize("name", published())
def test_a_schema_names_its_version_and_no_host(name: str) -> None:
    schema = published()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:vigia:schema:{name.removesuffix('.json')}"
    assert re.search(r"\.v[0-9]+\.", name)
