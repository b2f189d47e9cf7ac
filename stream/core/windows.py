"""Windows of rows in event time: pure, exact to the microsecond, the same however the input is
cut into batches or re-read from an earlier offset.

Window k is [k·hop, k·hop + width). It opens with its first row and closes, once and for good,
when the watermark that a batch states is `lateness` past its end. Whether a row is late is
decided by the watermark *before* its batch, as the batch states it, never by what this worker
happens to have seen; so a worker that starts again decides the same. See docs/adr/0002.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from contracts.readings import Quality, ReadingBatch

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """Width, hop and allowed lateness in microseconds; 0 < hop <= width."""

    width_us: int
    hop_us: int
    lateness_us: int = 0

    def first_open(self, watermark_us: int) -> int:
        """The first window that `watermark_us` leaves open."""
        return (watermark_us - self.width_us - self.lateness_us) // self.hop_us + 1

    def first_of(self, times_us: I64) -> I64:
        """The first window of each time."""
        return (times_us - self.width_us) // self.hop_us + 1

    def last_of(self, times_us: I64) -> I64:
        """The last window of each time."""
        return times_us // self.hop_us


@dataclass(frozen=True, slots=True)
class WindowBlock:
    """Closed windows, those of an asset in order. `assets` has the asset of each of the n
    windows; `starts_us` and `received_us` are int64 [n];
    `present` bool [n, T] says which of the padded T rows are there; `times_us` int64 [n, T],
    `values` float64 [n, T, S] and `quality` uint8 [n, T, S] hold them in order of time
    (0, NaN and MISSING where no row is)."""

    assets: tuple[str, ...]
    signals: tuple[str, ...]
    width_us: int
    starts_us: I64
    received_us: I64
    present: NDArray[np.bool_]
    times_us: I64
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.starts_us)

    @property
    def ends_us(self) -> I64:
        """The first microsecond after each window."""
        return self.starts_us + self.width_us


@dataclass(slots=True)
class _Rows:
    """Rows that some open window needs, sorted by time. `first` is the first window that may
    still take the row: a later one than its time says when it came late."""

    times: I64
    first: I64
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]

    @classmethod
    def empty(cls, signals: int) -> _Rows:
        return cls(
            np.empty(0, np.int64),
            np.empty(0, np.int64),
            np.empty((0, signals)),
            np.empty((0, signals), np.uint8),
        )

    def take(self, index: NDArray[np.bool_] | I64 | slice) -> _Rows:
        return _Rows(self.times[index], self.first[index], self.values[index], self.quality[index])

    def merge(self, new: _Rows) -> tuple[_Rows, int]:
        """Both together, one row for each time (the earlier to come), and how many fell out."""
        joined = _Rows(
            np.concatenate((self.times, new.times)),
            np.concatenate((self.first, new.first)),
            np.concatenate((self.values, new.values)),
            np.concatenate((self.quality, new.quality)),
        )
        steps = np.diff(joined.times)
        if (steps > 0).all():
            return joined, 0
        order = np.argsort(joined.times, kind="stable")
        joined = joined.take(order)
        keep = np.ones(len(order), bool)
        keep[1:] = np.diff(joined.times) > 0
        return joined.take(keep), int(len(order) - keep.sum())


@dataclass(slots=True)
class Windower:
    """The windows of one asset for one spec. Feed it the asset's batches in log order."""

    asset: str
    spec: WindowSpec
    signals: tuple[str, ...]
    rows: _Rows = field(init=False)
    closed: int | None = field(default=None, init=False)
    open_now: int = field(default=0, init=False)
    opened_total: int = field(default=0, init=False)
    released_total: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.rows = _Rows.empty(len(self.signals))

    def feed(self, batch: ReadingBatch, dropped: Counter[str]) -> WindowBlock | None:
        """The windows that close with `batch`. `batch.signals` must be this windower's.

        Rows that no open window takes are counted in `dropped`: `reread` when their windows
        were closed before this worker started, else `late`; `duplicate` for a second row of
        the same time.
        """
        position = batch.position
        if self.closed is None:
            # The windows that had begun by the largest time before this batch were decided
            # before the commit that this worker starts from; their rows are only partly here.
            self.closed = position.max_before_us // self.spec.hop_us
            reason = "reread"
        else:
            reason = "late"
        self._accept(batch, reason, dropped)
        return self._close(self.spec.first_open(position.wm_after_us) - 1, position.received_us)

    def _accept(self, batch: ReadingBatch, reason: str, dropped: Counter[str]) -> None:
        if not len(batch.times_us):
            return
        assert self.closed is not None
        spec, times = self.spec, batch.times_us
        by_watermark = spec.first_open(batch.position.wm_before_us)
        first = np.maximum(spec.first_of(times), max(by_watermark, self.closed + 1))
        taken = first <= spec.last_of(times)
        new = _Rows(times, first, batch.values, batch.quality)
        if not taken.all():
            dropped[reason] += int(len(times) - taken.sum())
            new = new.take(taken)
        self.rows, repeated = self.rows.merge(new)
        if repeated:
            dropped["duplicate"] += repeated
        before, self.open_now = self.open_now, self._count_open()
        self.opened_total += self.open_now - before

    def _close(self, last: int, received_us: int) -> WindowBlock | None:
        assert self.closed is not None
        if last <= self.closed:
            return None
        block = self._block(last, received_us)
        self.closed = last
        self.open_now -= len(block) if block else 0
        if len(self.rows.times):
            keep = self.spec.last_of(self.rows.times) > last
            if not keep.all():
                self.released_total += int(len(keep) - keep.sum())
                self.rows = self.rows.take(keep)
        return block

    def _block(self, last: int, received_us: int) -> WindowBlock | None:
        rows, spec = self.rows, self.spec
        numbers = self._candidates(last)
        if not len(numbers):
            return None
        starts = numbers * spec.hop_us
        left = np.searchsorted(rows.times, starts)
        right = np.searchsorted(rows.times, starts + spec.width_us)
        index = left[:, None] + np.arange(int((right - left).max()))
        present = index < right[:, None]
        index[~present] = 0
        present &= rows.first[index] <= numbers[:, None]
        some = present.any(axis=1)
        if not some.all():
            index, present, starts = index[some], present[some], starts[some]
            if not len(starts):
                return None
        return self._gather(starts, index, present, received_us)

    def _gather(
        self, starts: I64, index: I64, present: NDArray[np.bool_], received_us: int
    ) -> WindowBlock:
        rows = self.rows
        times, values, quality = rows.times[index], rows.values[index], rows.quality[index]
        if not present.all():
            times[~present] = 0
            values[~present] = np.nan
            quality[~present] = Quality.MISSING
        received = np.full(len(starts), received_us, np.int64)
        return WindowBlock(
            (self.asset,) * len(starts),
            self.signals,
            self.spec.width_us,
            starts,
            received,
            present,
            times,
            values,
            quality,
        )

    def _candidates(self, last: int) -> I64:
        """Every window up to `last` that may have rows, without walking through gaps."""
        times = self.rows.times
        assert self.closed is not None
        if not len(times):
            return np.empty(0, np.int64)
        if times[-1] - times[0] < len(times) * self.spec.width_us:
            lowest = max(int(self.spec.first_of(times[0])), self.closed + 1)
            return np.arange(lowest, min(int(self.spec.last_of(times[-1])), last) + 1)
        # Times further apart than the width share no window: each group is its own range.
        cuts = np.flatnonzero(np.diff(times) >= self.spec.width_us) + 1
        begins = times[np.concatenate(([0], cuts))]
        ends = times[np.concatenate((cuts - 1, [len(times) - 1]))]
        low = np.maximum(self.spec.first_of(begins), self.closed + 1)
        high = np.minimum(self.spec.last_of(ends), last)
        ranges = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True) if a <= b]
        return np.concatenate(ranges) if ranges else np.empty(0, np.int64)

    def earliest_us(self) -> int | None:
        """The start of the earliest open window, or None when none is open."""
        if not len(self.rows.times) or self.closed is None:
            return None
        first = np.maximum(self.rows.first, self.closed + 1)
        return int(first.min()) * self.spec.hop_us

    def _count_open(self) -> int:
        """How many windows have rows and are not closed."""
        rows = self.rows
        assert self.closed is not None
        low = np.maximum(rows.first, self.closed + 1)
        high = self.spec.last_of(rows.times)
        # The union of the ranges, from the right: what a range adds ends before the lowest
        # start of those that end no earlier.
        lowest = np.minimum.accumulate(low[::-1])[::-1]
        high[:-1] = np.minimum(high[:-1], lowest[1:] - 1)
        return int(np.maximum(high - low + 1, 0).sum())


def concat_blocks(blocks: Sequence[WindowBlock]) -> WindowBlock:
    """One block of all windows, which must have the same signals and width."""
    if len(blocks) == 1:
        return blocks[0]
    longest = max(block.present.shape[1] for block in blocks)
    return WindowBlock(
        tuple(asset for block in blocks for asset in block.assets),
        blocks[0].signals,
        blocks[0].width_us,
        np.concatenate([block.starts_us for block in blocks]),
        np.concatenate([block.received_us for block in blocks]),
        np.concatenate([_padded(block.present, longest, False) for block in blocks]),
        np.concatenate([_padded(block.times_us, longest, 0) for block in blocks]),
        np.concatenate([_padded(block.values, longest, np.nan) for block in blocks]),
        np.concatenate([_padded(block.quality, longest, int(Quality.MISSING)) for block in blocks]),
    )


def _padded(array: NDArray, length: int, fill: float) -> NDArray:  # type: ignore[type-arg]
    short = length - array.shape[1]
    if not short:
        return array
    widths = [(0, 0), (0, short)] + [(0, 0)] * (array.ndim - 2)
    return np.pad(array, widths, constant_values=fill)
