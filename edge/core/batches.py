"""Rows put into batches, each with its position in its asset's stream."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from contracts.headers import NO_TIME
from contracts.readings import Column, Position, Quality, ReadingBatch
from edge.core.rows import Row

MAX_ROWS = 500
MAX_VALUE_BYTES = 800_000
MIN_GAP_US = 20_000
"""Batches of one asset follow each other at least this far apart, unless they are full: a row
of a slow sensor leaves at once, those of a fast one gather."""


@dataclass(frozen=True, slots=True)
class Place:
    """The last message of an asset that is in Kafka, or on the way there from the disk: its
    position, and the largest event time up to and including it (NO_TIME when no row was ever
    written)."""

    position: Position
    newest_us: int = NO_TIME


def follow(place: Place | None, watermark_us: int, received_us: int) -> Position:
    """The position of the message after `place`, or of an asset's first one."""
    if place is None:
        return Position(0, NO_TIME, watermark_us, NO_TIME, received_us)
    return place.position.after(place.newest_us, watermark_us, received_us)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch under way to Kafka, and the rows in it (a heartbeat has none of ours)."""

    batch: ReadingBatch
    rows: tuple[Row, ...]
    newest_us: int


class Outbox:
    """The batches of one asset. One is under way at a time, so that their order in Kafka is
    that of their sequence numbers, whatever is sent again; meanwhile rows gather."""

    def __init__(self, asset: str, columns: tuple[Column, ...], place: Place | None = None) -> None:
        self._asset = asset
        self._columns = columns
        self._place = place
        # A float64 and a quality for each value, and the time: Kafka takes 1 MB a message.
        self._max_rows = max(1, min(MAX_ROWS, MAX_VALUE_BYTES // (9 * len(columns) + 8)))
        self._rows: deque[Row] = deque()
        self._under_way: Parcel | None = None
        self._sent_us = NO_TIME

    @property
    def place(self) -> Place | None:
        """Where the asset's stream stands in Kafka; None before its first batch."""
        return self._place

    @property
    def under_way(self) -> Parcel | None:
        """The batch that waits for Kafka's acknowledgement."""
        return self._under_way

    @property
    def held(self) -> int:
        """Readings in rows that Kafka has not acknowledged."""
        sent = self._under_way.rows if self._under_way else ()
        return sum(row.readings for row in (*self._rows, *sent))

    @property
    def empty(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self._rows and self._under_way is None

    def step(self, by_us: int) -> None:
        """The wall clock was set: what is remembered by it moves along."""
        self._sent_us += by_us

    def put(self, rows: list[Row]) -> None:
        """Adds rows that are ready."""
        self._rows.extend(rows)

    def due_us(self, gap_us: int = MIN_GAP_US) -> int | None:
        """When the next batch should leave, `gap_us` after the last one unless it is full; None
        when there is none, or one is under way."""
        if not self._rows or self._under_way:
            return None
        return NO_TIME if len(self._rows) >= self._max_rows else self._sent_us + gap_us

    def take(self, watermark_us: int, now_us: int) -> Parcel:
        """The next batch of the rows that wait, at most MAX_ROWS and
        MAX_VALUE_BYTES, now under way.

        `watermark_us` is true of all rows put in so far; while some stay behind, the batch
        says less.
        """
        count = min(len(self._rows), self._max_rows)
        rows = sorted([self._rows.popleft() for _ in range(count)], key=_time)
        if self._rows:
            watermark_us = min(watermark_us, min(map(_time, self._rows)))
        position = follow(self._place, watermark_us, rows[-1].received_us)
        batch = ReadingBatch(
            self._asset,
            position,
            self._columns,
            np.array([row.time_us for row in rows], np.int64),
            np.array([row.values for row in rows], np.float64),
            np.array([row.quality for row in rows], np.uint8),
        )
        return self._send(Parcel(batch, tuple(rows), rows[-1].time_us), now_us)

    def heartbeat(self, time_us: int | None, watermark_us: int, now_us: int) -> Parcel:
        """A batch that says that the asset is silent, now under way: one row at `time_us`
        without any value, or no row. Nothing may wait or be under way."""
        width = len(self._columns)
        count = 0 if time_us is None else 1
        batch = ReadingBatch(
            self._asset,
            follow(self._place, watermark_us, now_us),
            self._columns,
            np.full(count, time_us or 0, np.int64),
            np.full((count, width), np.nan),
            np.full((count, width), int(Quality.MISSING), np.uint8),
        )
        return self._send(Parcel(batch, (), NO_TIME if time_us is None else time_us), now_us)

    def written(self) -> Parcel:
        """Kafka, or the disk, has the batch under way: its rows are marked, the stream goes on."""
        parcel = self._under_way
        if parcel is None:
            raise ValueError(f"{self._asset}: nothing is under way")
        newest_us = self._place.newest_us if self._place else NO_TIME
        self._place = Place(parcel.batch.position, max(newest_us, parcel.newest_us))
        self._under_way = None
        for row in parcel.rows:
            row.mark_written()
        return parcel

    def _send(self, parcel: Parcel, now_us: int) -> Parcel:
        self._under_way = parcel
        self._sent_us = now_us
        return parcel


def _time(row: Row) -> int:
    return row.time_us
