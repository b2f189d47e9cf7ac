"""A wrong clock for one process, by libfaketime (Debian), preloaded."""

from __future__ import annotations

from pathlib import Path


def find_faketime() -> Path | None:
    """The library, where it is installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None


def clock_of(library: Path, file: Path) -> dict[str, str]:
    """What is to be added to the environment of a process whose wall clock is to be off by what
    `file` says, `+0` seconds at first and another number later."""
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def clock_off(library: Path, seconds: int) -> dict[str, str]:
    """What is to be added to the environment of a process whose wall clock is to be `seconds`
    ahead; its monotonic clock stays true."""
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{seconds:+d}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
