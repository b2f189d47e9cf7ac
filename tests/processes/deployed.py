"""Configuration files under deploy/, with ports, paths and intervals of a test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"


def deployed(file: str, swaps: Mapping[str, str]) -> str:
    """deploy/FILE with each of `swaps` in the place of what it names, which must be in it."""
    return swapped((DEPLOY / file).read_text(encoding="utf-8"), swaps)


def swapped(text: str, swaps: Mapping[str, str]) -> str:
    """`text` with each of `swaps` in the place of what it names. Raises ValueError where that is
    not in it."""
    for here, there in swaps.items():
        if here not in text:
            raise ValueError(f"expected {here} in {text[:200]}")
        text = text.replace(here, there)
    return text
