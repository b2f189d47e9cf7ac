"""What a person reads of a soak."""

from __future__ import annotations

from collections.abc import Iterable

from tests.soak.growth import Life

_HEAD = (
    "process",
    "from",
    "to",
    "RSS then",
    "RSS last",
    "grew",
    "USS grew",
    "threads",
    "files",
    "sockets",
)
_MB = 1_048_576


def table(lives: Iterable[Life]) -> str:
    """Lives that were long enough to be compared, a line each; minutes and MB."""
    rows = [_HEAD, *(_row(life) for life in lives if life.early is not None)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEAD))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _row(life: Life) -> tuple[str, ...]:
    early, late = life.early, life.late
    assert early is not None and late is not None
    return (
        life.name + ("" if life.holds() else " !"),
        f"{life.begun_s / 60:.1f}",
        f"{life.ended_s / 60:.1f}",
        f"{early.rss / _MB:.1f}",
        f"{late.rss / _MB:.1f}",
        f"{life.growth:+.1%}",
        f"{late.uss / early.uss - 1:+.1%}",
        f"{early.threads:g} {late.threads:g}",
        f"{early.files:g} {late.files:g}",
        f"{early.sockets:g} {late.sockets:g}",
    )
