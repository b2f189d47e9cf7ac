"""Rows to panes, each of which becomes a row of readings of its own: what windows of hours are made
from. A pane that is made again, after a crash, is the same message at the same place.

Readers of `vigia.aggregates` go by the rules of `vigia.readings` (docs/adr/0002), so each message
must say what lies before it, whoever makes it and from wherever the rows are read. See
docs/adr/0014.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.headers import NO_TIME
from contracts.plant.panes import Panes
from contracts.readings import Column, Position, Quality, ReadingBatch
from stream.core.aggregates import OF_ROWS
from stream.core.detectors import Floats, usable
from stream.core.segments import I64, Bools
from stream.core.windower import Chunk, Windower
from stream.core.windows import WindowBlock, WindowSpec

NONE = -(2**62)


@dataclass(frozen=True, slots=True)
class _Told:
    """A message to be: of which asset (its slot), the pane's number, how many panes are complete
    before it and with it, when what completed it was received and whether that was a backfill,
    and the row (None: no row)."""

    slot: int
    number: int
    before: int
    after: int
    received_us: int
    backfill: bool
    values: Floats | None


class PaneMaker:
    """The panes of `assets`, whose rows have the columns `rows`. Rows are counted for the assets
    that are `counted` [assets].

    Every pane that has a row in time is told once, when it closes. Two more things must be told,
    or what is read after a crash would not be what was read before it:

    - a row that is the newest of its asset and yet too late for its pane (the asset was silent,
      and its watermark moved on): its pane is told at once, with no values. Else the largest
      time before the next pane would be another one for who has not seen that row;
    - that panes are complete in which there is no row, or windows of a silent asset would not
      close: in a message without rows.
    """

    def __init__(
        self,
        panes: Panes,
        rows: tuple[Column, ...],
        assets: Sequence[str],
        counted: Bools | None = None,
    ) -> None:
        self.columns = panes.columns(rows)
        self.marks_total = 0
        """Panes that were told without values."""
        self._panes = panes
        self._spec = WindowSpec(panes.width_us, panes.width_us, panes.lateness_us)
        signals = tuple(column.signal for column in rows)
        self.windower = Windower(self._spec, signals, assets, counted=counted)
        self._assets = tuple(assets)
        self._heard = np.zeros(len(assets), bool)
        # The newest pane of each asset that was told, and how many are told to be complete.
        self._last = np.full(len(assets), NONE)
        self._complete = np.full(len(assets), NONE)

    def feed(self, chunk: Chunk, dropped: Counter[str]) -> list[ReadingBatch]:
        """What these batches complete, those of an asset in order. Rows that no pane takes are
        counted as Windower.feed does."""
        slots = np.array([self.windower.slots[asset] for asset in chunk.assets], np.int64)
        self._begin(chunk, slots)
        told = [*self._marks(chunk, slots)]
        self.marks_total += len(told)
        for closed in self.windower.feed(chunk, dropped):
            told += self._rows(closed.block, closed.slots)
        told.sort(key=lambda one: (one.slot, one.number))
        made = [self._message(one) for one in told]
        return made + [self._message(one) for one in self._silent(chunk, slots)]

    def _begin(self, chunk: Chunk, slots: I64) -> None:
        """What was told of assets of which this is the first that is heard: all up to the pane of
        the largest time before."""
        firsts, at = np.unique(slots, return_index=True)
        fresh = ~self._heard[firsts]
        firsts, at = firsts[fresh], at[fresh]
        self._heard[firsts] = True
        self._last[firsts] = self._number(chunk.max_before[at])
        complete = self._spec.first_open(chunk.wm_before[at])
        self._complete[firsts] = np.maximum(complete, self._last[firsts] + 1)

    def _number(self, times_us: I64) -> I64:
        """The pane of each time; NONE for NO_TIME."""
        return np.where(times_us == NO_TIME, NONE, self._spec.last_of(times_us))

    def _marks(self, chunk: Chunk, slots: I64) -> Iterator[_Told]:
        """The panes that must be told though all of their rows came too late. Which these are
        follows from each batch alone, so that they are the same whenever it is read."""
        newest = _newest(chunk)
        number = self._number(newest)
        complete = self._spec.first_open(chunk.wm_before)
        late = (number > self._number(chunk.max_before)) & (number < complete)
        # A batch that is on the log twice (a frame's) tells nothing new.
        late &= number > self._last[slots]
        seen = set()
        for at in np.flatnonzero(late).tolist():
            slot, pane, wm = int(slots[at]), int(number[at]), int(complete[at])
            if (slot, pane) not in seen:
                seen.add((slot, pane))
                received, backfill = int(chunk.received[at]), bool(chunk.backfill[at])
                yield _Told(slot, pane, wm, wm, received, backfill, self._nothing())

    def _nothing(self) -> Floats:
        values = np.full(len(self.columns), np.nan)
        values[[statistic == "n" for _, statistic in self._panes.kept]] = 0.0
        return values

    def _rows(self, block: WindowBlock, slots: I64) -> Iterator[_Told]:
        found = np.stack([*self._statistics(block)], axis=1)
        numbers = block.starts_us // self._panes.width_us
        received, backfill = block.received_us.tolist(), block.backfill.tolist()
        for at, (slot, number) in enumerate(zip(slots.tolist(), numbers.tolist(), strict=True)):
            yield _Told(slot, number, number, number + 1, received[at], backfill[at], found[at])

    def _statistics(self, block: WindowBlock) -> Iterator[Floats]:
        """What is kept [n] of the panes in `block`, column by column."""
        for signal, statistic in self._panes.kept:
            values, good = usable(block, signal)
            if statistic == "n":
                yield good.sum(axis=1).astype(np.float64)
            else:
                yield OF_ROWS[statistic](values, good)

    def _silent(self, chunk: Chunk, slots: I64) -> Iterator[_Told]:
        """What is complete and was not told with a pane."""
        complete = np.full(len(self._assets), NONE)
        np.maximum.at(complete, slots, self._spec.first_open(chunk.wm_after))
        for slot in np.flatnonzero(complete > self._complete).tolist():
            after, last = int(complete[slot]), np.flatnonzero(slots == slot)[-1]
            received, backfill = int(chunk.received[last]), bool(chunk.backfill[last])
            yield _Told(slot, after - 1, after - 1, after, received, backfill, None)

    def _message(self, told: _Told) -> ReadingBatch:
        width, slot = self._panes.width_us, told.slot
        last = int(self._last[slot])
        position = Position(
            told.number,
            told.before * width,
            told.after * width,
            NO_TIME if last == NONE else last * width,
            told.received_us,
            told.backfill,
        )
        self._complete[slot] = max(int(self._complete[slot]), told.after)
        rows = np.empty((0, len(self.columns))) if told.values is None else told.values[None, :]
        if told.values is not None:
            self._last[slot] = told.number
        times = np.full(len(rows), told.number * width, np.int64)
        quality = np.where(np.isnan(rows), Quality.MISSING, Quality.GOOD).astype(np.uint8)
        return ReadingBatch(self._assets[slot], position, self.columns, times, rows, quality)


def _newest(chunk: Chunk) -> NDArray[np.int64]:
    """The largest time of each batch; NO_TIME where it has no rows."""
    newest = np.full(len(chunk.counts), NO_TIME)
    some = np.flatnonzero(chunk.counts)
    if len(some):
        starts = (np.cumsum(chunk.counts) - chunk.counts)[some]
        newest[some] = np.maximum.reduceat(chunk.times, starts)
    return newest
