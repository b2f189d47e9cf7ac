"""What a reader relies on: short functions, small files, no patches, no silent excepts."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("contracts", "broker", "edge", "stream", "exporters", "training", "vigia")
BROAD_EXCEPTS_ALLOWED = 3
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def lengths() -> dict[str, int]:
    return {
        f"{path}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path, tree in sources(*ROOMS)
        for node in ast.walk(tree)
        if isinstance(node, Function)
    }


def test_functions_are_short() -> None:
    found = lengths()
    assert {name: lines for name, lines in found.items() if lines > 60} == {}
    assert statistics.quantiles(found.values(), n=10)[-1] <= 30


@pytest.mark.parametrize("room", ROOMS)
def test_files_are_small(room: str) -> None:
    files = {str(path): len((ROOT / path).read_text().splitlines()) for path, _ in sources(room)}
    assert {path: lines for path, lines in files.items() if lines > 400} == {}


def _is_broad(handler: ast.ExceptHandler) -> bool:
    names = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
        if (handler.type)
        else {"BaseException"}
    )
    return bool(names & {"Exception", "BaseException"})


def test_broad_excepts_are_counted() -> None:
    broad = [
        f"{path}:{node.lineno}"
        for path, tree in sources(*ROOMS)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node)
    ]
    assert len(broad) <= BROAD_EXCEPTS_ALLOWED, broad


def test_unit_tests_patch_nothing() -> None:
    patches = [
        f"{path}:{node.lineno}"
        for path, tree in sources("tests/unit")
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in {"patch", "setattr", "MagicMock"})
        or (isinstance(node, ast.Name) and node.id in {"MagicMock", "patch"})
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unittest.mock"))
    ]
    assert patches == []
