"""Inputs that are kept: where decoders begin, and what once broke one."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def read_corpus(target: str) -> list[tuple[str, bytes]]:
    """The name and the bytes of each input of a target, in the order of their names."""
    files = sorted((FOLDER / target).iterdir())
    return [(file.name, file.read_bytes()) for file in files]
