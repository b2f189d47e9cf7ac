"""What is kept of the rows of each pane, a short tumbling window: windows of hours are made from
these and not from the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from contracts.durations import format_duration
from contracts.readings import Column

Statistic = Literal["mean", "min", "max", "last", "n"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)


def column_of(signal: str, statistic: Statistic, pane_us: int) -> str:
    """The name of a column of `vigia.aggregates`, such as pressure.mean.1min: a column of another
    pane is another column."""
    return f"{signal}.{statistic}.{format_duration(pane_us)}"


@dataclass(frozen=True, slots=True)
class Panes:
    """The panes [k·width, (k+1)·width) of an asset: a row belongs to its pane unless it comes more
    than `lateness_us` after its end, by the watermark. Kept is, of each of `signals`, the mean,
    least, greatest and last of its usable values, and their number n."""

    width_us: int
    lateness_us: int
    signals: tuple[str, ...]

    def having(self, signals: Sequence[str]) -> Panes:
        """The same panes, in which these signals are kept too."""
        return replace(self, signals=tuple(dict.fromkeys((*self.signals, *signals))))

    def columns(self, rows: Sequence[Column]) -> tuple[Column, ...]:
        """The columns of the panes of an asset whose rows have the columns `rows`."""
        known = {column.signal: column for column in rows}
        return tuple(
            Column(
                column_of(signal, statistic, self.width_us),
                "1" if statistic == "n" else known[signal].unit,
                known[signal].clock,
            )
            for signal in self.signals
            for statistic in STATISTICS
        )
