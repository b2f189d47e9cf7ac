"""What docs/bounds.md says is what the code has."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "bounds.md").read_text(encoding="utf-8")
STATED = re.findall(r"`([a-z_.]+)\.([A-Z_]+)` = (\d+)", TEXT)


@pytest.mark.parametrize(("module", "name", "value"), STATED)
def test_a_bound_is_as_it_is_written(module: str, name: str, value: str) -> None:
    assert getattr(import_module(module), name) == int(value)


def test_every_bound_in_the_table_has_its_number() -> None:
    named = set(re.findall(r"`([a-z_]+\.[a-z_.]+\.[A-Z_]+)`", TEXT))
    assert named == {f"{module}.{name}" for module, name, _ in STATED}
    assert len(STATED) > 20
