"""Times and ages as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def clock_text(us: int | None) -> str:
    """`2023-11-14 22:13:20.250Z`; `-` for none, and for what no calendar has."""
    if us is None:
        return "-"
    try:
        when = _EPOCH + timedelta(microseconds=us)
    except OverflowError:
        return "-"
    return f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d}Z"


def age_text(us: int) -> str:
    """`7s`, `3min`, `2h 5min`, `4d 1h`; what lies ahead is 0s."""
    seconds = max(us, 0) // 1_000_000
    for unit, size, small, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60)):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size}{unit} {rest}{small}" if rest else f"{seconds // size}{unit}"
    return f"{seconds // 60}min" if seconds >= 60 else f"{seconds}s"
