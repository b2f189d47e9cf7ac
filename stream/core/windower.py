"""Rows to closed windows, for many assets in one pass: pure, exact to the microsecond, the same
however the input is cut into batches or re-read from an earlier offset.

A window opens with its first row and closes, once and for good, when the watermark that a batch
states is `lateness` past its end. Whether a row is late is decided by the watermark *before* its
batch, as the batch states it, never by what this worker happens to have seen; so a worker that
starts again decides the same. See docs/adr/0002, and docs/adr/0009 for the one pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.readings import ReadingBatch
from stream.core.rowstore import Rows, RowStore, rows_at
from stream.core.segments import (
    I64,
    Bools,
    coming_minimum,
    expand,
    heads,
    running_maximum,
    sums,
)
from stream.core.windows import WindowBlock, WindowSpec, blank

NONE_OPEN = 2**62
MAX_WINDOWS = 1_024
MAX_CELLS = 4_000_000
"""Windows, and values in them, of one block: bounds memory, and how long a model takes."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """k batches of assets with the same signals, in the order of the log, in columns: what each
    states of its position int64 [k], how many rows it has, and the n rows of all."""

    assets: tuple[str, ...]
    counts: I64
    wm_before: I64
    wm_after: I64
    max_before: I64
    received: I64
    backfill: Bools
    times: I64
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]

    @classmethod
    def of(cls, batches: Sequence[ReadingBatch]) -> Chunk:
        """The batches (at least one) put together."""
        positions = [batch.position for batch in batches]
        return cls(
            tuple(batch.asset for batch in batches),
            np.array([len(batch.times_us) for batch in batches], np.int64),
            np.array([position.wm_before_us for position in positions], np.int64),
            np.array([position.wm_after_us for position in positions], np.int64),
            np.array([position.max_before_us for position in positions], np.int64),
            np.array([position.received_us for position in positions], np.int64),
            np.array([position.backfill for position in positions], bool),
            np.concatenate([batch.times_us for batch in batches]),
            np.concatenate([batch.values for batch in batches]),
            np.concatenate([batch.quality for batch in batches]),
        )

    def only(self, assets: Container[str]) -> Chunk:
        """The batches of these assets."""
        wanted = np.array([asset in assets for asset in self.assets])
        rows = np.repeat(wanted, self.counts)
        return Chunk(
            tuple(asset for asset in self.assets if asset in assets),
            self.counts[wanted],
            self.wm_before[wanted],
            self.wm_after[wanted],
            self.max_before[wanted],
            self.received[wanted],
            self.backfill[wanted],
            self.times[rows],
            self.values[rows],
            self.quality[rows],
        )


@dataclass(frozen=True, slots=True)
class Closed:
    """A block of windows that closed, and the number of each window's asset."""

    block: WindowBlock
    slots: I64


@dataclass(frozen=True, slots=True)
class _Turn:
    """The k batches of one `feed`, asset by asset. `slots` and `fresh` are of the assets: their
    numbers, and whether this is the first that is heard of them; `of` [k] says which of these
    assets a batch is of; `before` and `after` [k] are the last windows that are closed before
    and after it, and `closed` those before the first batch of each asset."""

    slots: I64
    fresh: Bools
    of: I64
    first: Bools
    closed: I64
    before: I64
    after: I64
    last: I64
    received: I64
    backfill: Bools


class Windower:
    """The windows of `assets` for one spec. `signals` are those of the assets.

    Feed it the batches in log order. `weights` [assets] says how many look at the windows of each
    asset: a window counts once for each of them in `opened_total` and `open_windows`. Rows are
    counted for the assets that are `counted` [assets] and for no others, since each asset may
    have other windows elsewhere.
    """

    def __init__(
        self,
        spec: WindowSpec,
        signals: tuple[str, ...],
        assets: Sequence[str],
        weights: I64 | None = None,
        counted: Bools | None = None,
    ) -> None:
        self.spec = spec
        self.signals = signals
        self.slots = {asset: slot for slot, asset in enumerate(assets)}
        self.opened_total = 0
        self.released_total = 0
        self._names = np.array(list(assets), object)
        self._weights = np.ones(len(assets), np.int64) if weights is None else weights
        self._counted = np.ones(len(assets), bool) if counted is None else counted
        self._started = np.zeros(len(assets), bool)
        self._closed = np.zeros(len(assets), np.int64)
        self._open = np.zeros(len(assets), np.int64)
        # One more than assets: it is nobody's, and nothing is ever open there.
        self._earliest = np.full(len(assets) + 1, NONE_OPEN)
        self._rows = RowStore(len(signals), len(assets))

    @property
    def open_windows(self) -> int:
        """Windows that have rows and are not closed."""
        return int((self._open * self._weights).sum())

    @property
    def rows_held(self) -> int:
        """Rows that some open window has."""
        return int(self._rows.count[self._counted].sum())

    def earliest_us(self, assets: Sequence[str]) -> I64:
        """The start of the earliest open window of each asset, NONE_OPEN when none is open or
        the asset is none of this windower's."""
        slots = [self.slots.get(asset, -1) for asset in assets]
        return self._earliest[slots]

    def decided_us(self) -> dict[str, int]:
        """Of each asset that was heard of, the end of the last window that is closed for good."""
        heard = np.flatnonzero(self._started)
        ends = self._closed[heard] * self.spec.hop_us + self.spec.width_us
        return dict(zip(self._names[heard].tolist(), ends.tolist(), strict=True))

    def feed(self, chunk: Chunk, dropped: Counter[str]) -> list[Closed]:
        """The windows that close with these batches, exactly those that would close one batch
        after the other.

        Rows that no open window takes are counted in `dropped`: `reread` when their windows
        were closed before this worker started, else `late`; `duplicate` for a second row of
        the same time.
        """
        slots = np.array([self.slots[asset] for asset in chunk.assets], np.int64)
        order = np.argsort(slots, kind="stable")
        turn = self._turn(chunk, slots, order)
        self._accept(chunk, order, turn, dropped)
        index, times, first = self._rows.keys(turn.slots)
        count = self._rows.count[turn.slots]
        of = np.repeat(np.arange(len(turn.slots)), count)
        low = np.maximum(first, turn.closed[of] + 1)
        opened = self._count_open(low, times, of, count) - self._open[turn.slots]
        self.opened_total += int((opened * self._weights[turn.slots]).sum())
        found = list(self._close(turn, index, times, first, of))
        self._settle(turn, times, first, of, count)
        return found

    def _turn(self, chunk: Chunk, slots: I64, order: I64) -> _Turn:
        ordered = slots[order]
        first = heads(ordered)
        of = np.cumsum(first) - 1
        touched = ordered[first]
        fresh = ~self._started[touched]
        # The windows that had begun by the largest time before the first batch were decided
        # before the commit that this worker starts from; their rows are only partly here.
        begun = chunk.max_before[order][first] // self.spec.hop_us
        closed = np.where(fresh, begun, self._closed[touched])
        states = self.spec.first_open(chunk.wm_after[order]) - 1
        after = running_maximum(np.maximum(states, closed[of]), first)
        earlier = np.where(first, closed[of], np.roll(after, 1))
        late = self.spec.first_open(chunk.wm_before[order]) - 1
        last = np.append(np.flatnonzero(first)[1:], len(of)) - 1
        return _Turn(
            touched,
            fresh,
            of,
            first,
            closed,
            np.maximum(earlier, late),
            after,
            last,
            chunk.received[order],
            chunk.backfill[order],
        )

    def _accept(self, chunk: Chunk, order: I64, turn: _Turn, dropped: Counter[str]) -> None:
        if not len(chunk.times):
            return
        counts = chunk.counts[order]
        batch = np.repeat(np.arange(len(order)), counts)
        index = expand((np.cumsum(chunk.counts) - chunk.counts)[order], counts)
        times = chunk.times[index]
        first = np.maximum(self.spec.first_of(times), turn.before[batch] + 1)
        slots = turn.slots[turn.of[batch]]
        values, quality = rows_at(chunk.values, index), rows_at(chunk.quality, index)
        rows = Rows(slots, times, first, values, quality)
        taken = first <= self.spec.last_of(times)
        if not taken.all():
            refused = ~taken & self._counted[slots]
            reread = refused & (turn.first & turn.fresh[turn.of])[batch]
            _count(dropped, "reread", int(reread.sum()))
            _count(dropped, "late", int(refused.sum() - reread.sum()))
            rows = rows.take(taken)
        repeated = self._rows.add(rows)
        _count(dropped, "duplicate", int(self._counted[repeated].sum()))

    def _close(self, turn: _Turn, index: I64, times: I64, first: I64, of: I64) -> Iterator[Closed]:
        found = self._candidates(turn, times, of)
        if found is None:
            return
        numbers, left, right, asset = found
        for at in self._cuts(right - left):
            cells = left[at, None] + np.arange(int((right[at] - left[at]).max(initial=0)))
            present = cells < right[at, None]
            cells[~present] = 0
            present &= first[cells] <= numbers[at, None]
            some = present.any(axis=1)
            if not some.any():
                continue
            who, number = asset[at][some], numbers[at][some]
            closing = self._closing(turn, who, number)
            block = self._block(
                turn.slots[who],
                number,
                turn.received[closing],
                turn.backfill[closing],
                present[some],
                index[cells[some]],
                times[cells[some]],
            )
            yield Closed(block, turn.slots[who])

    def _candidates(self, turn: _Turn, times: I64, of: I64) -> tuple[I64, I64, I64, I64] | None:
        """Every window that may have rows and closes now: its number, where its rows begin and
        end among `times`, and its asset in the turn. Gaps are not walked through: times further
        apart than the width share no window, so the rows between gaps are pieces of their own."""
        if not len(times):
            return None
        spec = self.spec
        begins = heads(of)
        begins[1:] |= np.diff(times) >= spec.width_us
        at = np.flatnonzero(begins)
        end = np.append(at[1:], len(times)) - 1
        asset = of[at]
        low = np.maximum(spec.first_of(times[at]), turn.closed[asset] + 1)
        high = np.minimum(spec.last_of(times[end]), turn.after[turn.last[asset]])
        counts = np.maximum(high - low + 1, 0)
        if not counts.any():
            return None
        # All pieces behind each other on one axis, further apart than windows reach.
        length = times[end] - times[at] + 2 * spec.width_us + 2
        shift = np.cumsum(length) - length - times[at]
        axis = times + np.repeat(shift, end - at + 1)
        numbers = expand(low, counts)
        starts = numbers * spec.hop_us + np.repeat(shift, counts)
        left = np.searchsorted(axis, starts)
        right = np.searchsorted(axis, starts + spec.width_us)
        return numbers, left, right, np.repeat(asset, counts)

    def _cuts(self, rows: I64) -> Iterator[slice]:
        """The windows in bounded parts, by how many rows each has."""
        longest = max(int(rows.max()), 1)
        step = max(1, min(MAX_WINDOWS, MAX_CELLS // (longest * len(self.signals))))
        for at in range(0, len(rows), step):
            yield slice(at, at + step)

    def _closing(self, turn: _Turn, asset: I64, number: I64) -> I64:
        """The batch with which each window closes."""
        low, high = np.append(0, turn.last[:-1] + 1)[asset], turn.last[asset]
        while (low < high).any():
            middle = (low + high) // 2
            closes = turn.after[middle] >= number
            low, high = np.where(closes, low, middle + 1), np.where(closes, middle, high)
        return low

    def _block(
        self,
        slots: I64,
        numbers: I64,
        received: I64,
        backfill: Bools,
        present: Bools,
        cells: I64,
        times: I64,
    ) -> WindowBlock:
        values, quality = self._rows.gather(cells)
        return blank(
            WindowBlock(
                tuple(self._names[slots].tolist()),
                self.signals,
                self.spec.width_us,
                numbers * self.spec.hop_us,
                received,
                backfill,
                present,
                times,
                values,
                quality,
            )
        )

    def _settle(self, turn: _Turn, times: I64, first: I64, of: I64, count: I64) -> None:
        """Forgets the rows that no open window has, and notes what is open."""
        slots, closed = turn.slots, turn.after[turn.last]
        self._started[slots] = True
        self._closed[slots] = closed
        kept = self.spec.last_of(times) > closed[of]
        gone = count - sums(kept.astype(np.int64), count)
        self._rows.release(slots, gone)
        self.released_total += int(gone[self._counted[slots]].sum())
        of, count = of[kept], count - gone
        low = np.maximum(first[kept], closed[of] + 1)
        self._open[slots] = self._count_open(low, times[kept], of, count)
        self._earliest[slots] = NONE_OPEN
        begins = heads(of)
        earliest = coming_minimum(low, begins)[begins] * self.spec.hop_us
        self._earliest[slots[count > 0]] = earliest

    def _count_open(self, low: I64, times: I64, of: I64, count: I64) -> I64:
        """How many windows each asset's rows have from `low` of each row on: the union of their
        ranges. What a range adds ends before the lowest start of those that end no earlier."""
        high = self.spec.last_of(times)
        begins = heads(of)
        lowest = coming_minimum(low, begins)
        joined = np.flatnonzero(~begins)
        high[joined - 1] = np.minimum(high[joined - 1], lowest[joined] - 1)
        return sums(np.maximum(high - low + 1, 0), count)


def _count(dropped: Counter[str], reason: str, number: int) -> None:
    if number:
        dropped[reason] += number
