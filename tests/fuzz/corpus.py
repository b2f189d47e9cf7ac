"""Inputs that are kept: where decoders begin, and what once broke one."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def read_corpus(folder: Path) -> list[tuple[str, bytes]]:
    """The name and the bytes of each input in a folder, in the order of their names."""
    return [(file.name, file.read_bytes()) for file in sorted(folder.iterdir())]
