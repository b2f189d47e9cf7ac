"""Durations as people write them (`100ms`, `3s`, `5min`, `2h`, `7d`), kept as microseconds."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

UNITS_US = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
MAX_US = 36_500 * UNITS_US["d"]
_PATTERN = r"^\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*(us|ms|s|min|h|d)\s*$"
_FORM = re.compile(_PATTERN.replace("$", r"\Z"))
EXPECTED = "a duration such as 100ms, 3s, 5min, 2h or 7d"


def parse_duration(text: str) -> int:
    """The whole microseconds of `text`. Raises ValueError when it is not a duration."""
    found = _FORM.match(text)
    if not found:
        raise ValueError(f"expected {EXPECTED}, got {text!r}")
    exact = Decimal(found[1]) * UNITS_US[found[2]]
    if exact != int(exact):
        raise ValueError(f"expected whole microseconds, got {text!r}")
    if exact > MAX_US:
        raise ValueError(f"expected at most {format_duration(MAX_US)}, got {text!r}")
    return int(exact)


def format_duration(us: int) -> str:
    """The shortest exact way to write `us` microseconds."""
    for unit in ("d", "h", "min", "s", "ms"):
        if us and us % UNITS_US[unit] == 0:
            return f"{us // UNITS_US[unit]}{unit}"
    return f"{us}us"


def _validate(value: Any) -> int:
    # The unit is asked for always: a bare number would be read as seconds by one
    # person and as milliseconds by another. 0 is the same in all units.
    if value == 0 and not isinstance(value, bool):
        return 0
    if not isinstance(value, str):
        raise ValueError(f"expected {EXPECTED}, got {value!r}")
    return parse_duration(value)


Duration = Annotated[
    int,
    BeforeValidator(_validate),
    Field(ge=0),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _PATTERN}, {"const": 0}]}),
]
"""Microseconds; written in YAML as a duration with its unit."""
