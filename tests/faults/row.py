"""A row of the table of faults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults.world import World

COLUMNS = (
    ("fault", 24),
    ("detect", 8),
    ("recover", 8),
    ("lost", 6),
    ("doubled", 8),
    ("held", 5),
)


@dataclass
class Found:
    """What a fault came to: `held` says of each thing that must hold whether it did. Seconds that
    make no sense are None, and `why` says why. `excused` names what of the books may be more than
    none."""

    done: str
    held: dict[str, bool] = field(default_factory=dict)
    detect_s: float | None = None
    recover_s: float | None = None
    why: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    excused: tuple[str, ...] = ()


@dataclass
class Row:
    """A fault with what the books say of it. `skipped` says why it could not be done here."""

    fault: str
    found: Found
    books: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    skipped: str = ""

    @property
    def holds(self) -> bool:
        """Whether all held, by the books too."""
        return not self.error and not _broken(self)

    def told(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "fault": self.fault,
            **asdict(self.found),
            **self.books,
            "error": self.error,
            "skipped": self.skipped,
            "holds": self.holds,
        }

    def line(self) -> str:
        """For a person."""
        found = self.found
        verdict = "skip" if self.skipped else "yes" if self.holds else "NO"
        cells = (
            self.fault,
            _seconds(found.detect_s),
            _seconds(found.recover_s),
            str(self.books.get("readings_lost", "-")),
            str(self.books.get("readings_doubled", "-")),
            verdict,
        )
        line = "".join(cell.ljust(width) for cell, (_, width) in zip(cells, COLUMNS, strict=True))
        return f"{line} {self.skipped or self.error or _broken(self) or found.done}"


MUST_BE_NONE = (
    "readings_lost",
    "readings_doubled",
    "windows_missing",
    "windows_wrong",
    "unaccounted",
)
Strike = Callable[[World], Awaitable[Found]]


def head() -> str:
    """The table's head."""
    return "".join(name.ljust(width) for name, width in COLUMNS) + " what was done"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _broken(row: Row) -> str:
    broken = [what for what, ok in row.found.held.items() if not ok]
    must = [name for name in MUST_BE_NONE if name not in row.found.excused]
    broken += [f"{name} {row.books[name]}" for name in must if row.books.get(name)]
    return "did not hold: " + ", ".join(broken) if broken else ""
