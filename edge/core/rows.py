"""Single values put together into rows, by the rule that the plant file states."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import nan

from contracts.headers import NO_TIME
from contracts.plant.model import SignalSet
from contracts.readings import Quality
from edge.core.acks import Receipt
from edge.core.payload import Sample

GOOD, MISSING = int(Quality.GOOD), int(Quality.MISSING)
HELD = int(Quality.HELD)
MEMORY_ROWS = 512
"""How many rows below the watermark are remembered, to tell a value that comes twice."""


@dataclass(slots=True, eq=False)
class Row:
    """All signals of an asset at one time: `values` (NaN where none came) and `quality` by
    column. `readings` counts the values that came, `received_us` is when the last one did,
    `receipts` are the messages that wait until the row is written."""

    time_us: int
    values: list[float]
    quality: list[int]
    readings: int = 0
    received_us: int = 0
    written: bool = False
    receipts: list[Receipt] = field(default_factory=list)

    def wait(self, receipt: Receipt | None) -> None:
        """Lets a message wait for this row, unless it is written already."""
        if receipt is not None and not self.written:
            receipt.hold()
            self.receipts.append(receipt)

    def mark_written(self) -> None:
        """Kafka has the row."""
        self.written = True
        for receipt in self.receipts:
            receipt.release()
        self.receipts.clear()


class RowAssembler:
    """The rows of one asset, from readings that come one by one and in any order.

    A row is ready when all its values came, or when it is older than the newest row by more
    than the lateness. A row that begins below the watermark (it is late, and whoever reads
    decides what that means) is ready when complete, or `lateness` after its latest value by
    the clock of arrival. A ready row is final: a value that comes for it later is dropped.

    The watermark is exclusive: every row below it was ready before, except later late ones.
    It never goes back.
    """

    def __init__(
        self, group: SignalSet, *, newest_us: int = NO_TIME, watermark_us: int = NO_TIME
    ) -> None:
        self._rule = group.rows
        self._lateness_us = group.lateness
        self._width = len(group.signals)
        self._newest_us = newest_us
        self._watermark_us = watermark_us
        self._floor_us = NO_TIME
        self._forget_at = 2 * MEMORY_ROWS
        self._pending: dict[int, Row] = {}
        self._order: list[int] = []
        self._late: dict[int, Row] = {}
        self._done: dict[int, Row] = {}
        self._ready: list[Row] = []
        self._last = [_Trail() for _ in group.signals] if self._rule.missing == "hold" else []
        self.taken_in = 0
        self.dropped: Counter[str] = Counter()

    @property
    def newest_us(self) -> int:
        """The largest time of a row so far, or NO_TIME."""
        return self._newest_us

    @property
    def watermark_us(self) -> int:
        """See the class; NO_TIME before the first row."""
        return self._watermark_us

    @property
    def held(self) -> int:
        """Readings in rows that are not taken yet."""
        rows = (*self._pending.values(), *self._late.values(), *self._ready)
        return sum(row.readings for row in rows)

    @property
    def pending(self) -> int:
        """Rows that are not ready."""
        return len(self._pending) + len(self._late)

    def add(
        self,
        sample: Sample,
        codes: Sequence[int],
        arrival_us: int,
        receipt: Receipt | None = None,
    ) -> None:
        """Takes readings in, each with the code of its quality. `receipt` will wait for the row
        that has them."""
        cells = sample.cells
        self.taken_in += len(cells)
        time_us = self._row_time(sample.time_us)
        if time_us is None:
            self.dropped["off-grid"] += len(cells)
            return
        row = self._pending.get(time_us) or self._late.get(time_us) or self._done.get(time_us)
        if row is None:
            if time_us <= self._floor_us:
                self.dropped["too-late"] += len(cells)
                return
            row = self._begin(time_us, arrival_us)
        self._fill(row, zip(cells, codes, strict=True), arrival_us, receipt)
        if row.readings == self._width and time_us not in self._done:
            self._finish(row)
        self._advance()

    def take_ready(self) -> list[Row]:
        """The rows that became ready since the last call, in the order in which they did."""
        ready, self._ready = self._ready, []
        return ready

    def expire(self, now_us: int) -> None:
        """Gives up waiting for late rows whose time to wait is over at `now_us`."""
        for row in [r for r in self._late.values() if r.received_us + self._lateness_us <= now_us]:
            self._finish(row)

    def give_up(self) -> None:
        """Gives up waiting: every row becomes ready as it is."""
        for row in (*self._pending.values(), *self._late.values()):
            self._finish(row)
        self._advance()

    def advance_to(self, watermark_us: int) -> None:
        """Moves the watermark of a silent asset on. No row may be pending."""
        self._watermark_us = max(self._watermark_us, watermark_us)

    def _row_time(self, time_us: int) -> int | None:
        rule = self._rule
        if rule.by == "exact":
            return time_us
        nearest = (time_us + rule.period // 2) // rule.period * rule.period
        return nearest if abs(time_us - nearest) <= rule.tolerance_us else None

    def _begin(self, time_us: int, arrival_us: int) -> Row:
        row = Row(time_us, [nan] * self._width, [MISSING] * self._width, received_us=arrival_us)
        if time_us < self._watermark_us:
            self._late[time_us] = row
        else:
            self._pending[time_us] = row
            heappush(self._order, time_us)
            self._newest_us = max(self._newest_us, time_us)
        return row

    def _fill(
        self,
        row: Row,
        cells: Iterable[tuple[tuple[int, float], int]],
        arrival_us: int,
        receipt: Receipt | None,
    ) -> None:
        done = row.time_us in self._done
        waits = False
        for (column, value), code in cells:
            have = row.values[column]
            came = row.quality[column] not in (MISSING, HELD)
            if came and have == value:
                # It may be the same message sent again: it waits as the first one does.
                waits = True
                self.dropped["duplicate"] += 1
            elif done:
                self.dropped["late-value"] += 1
            elif came:
                self.dropped["second-value"] += 1
            else:
                waits = True
                self._put(row, column, value, code)
                row.received_us = max(row.received_us, arrival_us)
        if waits:
            row.wait(receipt)

    def _put(self, row: Row, column: int, value: float, code: int) -> None:
        row.values[column] = value
        row.quality[column] = code
        row.readings += 1
        if self._last and code == GOOD:
            horizon = self._rule.hold + self._lateness_us
            self._last[column].put(row.time_us, value, self._newest_us - horizon)

    def _finish(self, row: Row) -> None:
        if self._pending.pop(row.time_us, None) is None:
            del self._late[row.time_us]
        if self._last:
            self._hold(row)
        self._done[row.time_us] = row
        self._ready.append(row)

    def _hold(self, row: Row) -> None:
        for column, quality in enumerate(row.quality):
            if quality == MISSING:
                value = self._last[column].at(row.time_us, self._rule.hold)
                if value is not None:
                    row.values[column], row.quality[column] = value, HELD

    def _advance(self) -> None:
        """Finishes what waited long enough and moves the watermark."""
        if self._newest_us == NO_TIME:
            return
        order, pending = self._order, self._pending
        old_us = self._newest_us - self._lateness_us
        while order and (order[0] not in pending or order[0] < old_us):
            row = pending.get(heappop(order))
            if row is not None:
                self._finish(row)
        mark = min(order[0], old_us + 1) if order else old_us + 1
        if mark > self._watermark_us:
            self._watermark_us = mark
        if len(self._done) > self._forget_at:
            self._forget()

    def _forget(self) -> None:
        """Keeps the newest rows below the watermark, and all at or above it."""
        below = sorted(time for time in self._done if time < self._watermark_us)
        gone = below[:-MEMORY_ROWS]
        for time_us in gone:
            del self._done[time_us]
        if gone:
            self._floor_us = max(self._floor_us, gone[-1])
        # What lies above the watermark stays, however much it is: looking again must be rare.
        self._forget_at = len(self._done) + MEMORY_ROWS


class _Trail:
    """The last good values of one signal by time, to be held."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._values: dict[int, float] = {}

    def put(self, time_us: int, value: float, horizon_us: int) -> None:
        insort(self._times, time_us)
        self._values[time_us] = value
        # One value before the horizon may still be held by the oldest row that can come.
        while len(self._times) > 1 and self._times[1] < horizon_us:
            del self._values[self._times.pop(0)]

    def at(self, time_us: int, hold_us: int) -> float | None:
        """The newest value before `time_us`, unless it is older than `hold_us`."""
        index = bisect_left(self._times, time_us) - 1
        if index < 0 or time_us - self._times[index] > hold_us:
            return None
        return self._values[self._times[index]]
