"""What is kept of the rows of each pane, a short tumbling window: windows of hours are made from
these and not from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from contracts.durations import format_duration
from contracts.readings import Column

Statistic = Literal["mean", "min", "max", "last", "n"]
Kept = tuple[str, Statistic]
"""A signal, and what is kept of its usable values in a pane; n is their number."""


def column_of(signal: str, statistic: Statistic, pane_us: int) -> str:
    """The name of a column of `vigia.aggregates`, such as pressure.mean.1min: a column of another
    pane is another column."""
    return f"{signal}.{statistic}.{format_duration(pane_us)}"


@dataclass(frozen=True, slots=True)
class Panes:
    """The panes [k·width, (k+1)·width) of an asset: a row belongs to its pane unless it comes more
    than `lateness_us` after its end, by the watermark. `kept` is what detectors need of them."""

    width_us: int
    lateness_us: int
    kept: tuple[Kept, ...] = ()

    def keeping(self, wanted: Iterable[Kept]) -> Panes:
        """The same panes, in which this is kept too, and with it how many values there were."""
        kept = dict.fromkeys(self.kept)
        for signal, statistic in wanted:
            kept |= {(signal, "n"): None, (signal, statistic): None}
        return replace(self, kept=tuple(kept))

    def columns(self, rows: Sequence[Column]) -> tuple[Column, ...]:
        """The columns of the panes of an asset whose rows have the columns `rows`."""
        known = {column.signal: column for column in rows}
        return tuple(
            Column(
                column_of(signal, statistic, self.width_us),
                "1" if statistic == "n" else known[signal].unit,
                known[signal].clock,
            )
            for signal, statistic in self.kept
        )
