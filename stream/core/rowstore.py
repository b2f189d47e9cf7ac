"""The rows that open windows need, of many assets, in one block of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.core.segments import I64, Bools, expand, heads

_LEAST_ROOM = 16


@dataclass(slots=True)
class Rows:
    """n rows, those of an asset behind each other. `slots` int64 [n] numbers the assets; `times`
    int64 [n] in µs; `first` int64 [n] is the first window that may still take the row: a later
    one than its time says when it came late. `values` float64 [n, S], `quality` uint8 [n, S]."""

    slots: I64
    times: I64
    first: I64
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.times)

    def take(self, index: Bools | I64) -> Rows:
        """These rows."""
        at = np.arange(len(self))[index]
        return Rows(
            self.slots[at],
            self.times[at],
            self.first[at],
            rows_at(self.values, at),
            rows_at(self.quality, at),
        )

    def followed_by(self, other: Rows) -> Rows:
        """Both, one after the other."""
        return Rows(
            np.concatenate((self.slots, other.slots)),
            np.concatenate((self.times, other.times)),
            np.concatenate((self.first, other.first)),
            np.concatenate((self.values, other.values)),
            np.concatenate((self.quality, other.quality)),
        )


class RowStore:
    """The rows of `assets` assets with `signals` signals, those of each in order of time and one
    for each time.

    Each asset has a stretch of the memory: rows are added behind and released in front. When a
    stretch is full its rows move to its beginning, or to a larger one behind all others; when
    the memory is full all stretches move together. Every row is moved a bounded number of times.
    """

    def __init__(self, signals: int, assets: int) -> None:
        self._base = np.zeros(assets, np.int64)
        self._room = np.zeros(assets, np.int64)
        self._begin = np.zeros(assets, np.int64)
        self.count = np.zeros(assets, np.int64)
        """How many rows each asset has."""
        self._used = 0
        self._times = np.empty(0, np.int64)
        self._first = np.empty(0, np.int64)
        self._values = np.empty((0, signals))
        self._quality = np.empty((0, signals), np.uint8)

    @property
    def capacity(self) -> int:
        """How many rows the memory has room for."""
        return len(self._times)

    def of(self, slots: I64) -> Rows:
        """The rows of these assets."""
        index = self._index(slots)
        return Rows(
            np.repeat(slots, self.count[slots]),
            self._times[index],
            self._first[index],
            rows_at(self._values, index),
            rows_at(self._quality, index),
        )

    def keys(self, slots: I64) -> tuple[I64, I64, I64]:
        """Where the rows of these assets lie (for `gather`), their times, and their `first`."""
        index = self._index(slots)
        return index, self._times[index], self._first[index]

    def gather(self, index: I64) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """The values and quality of the rows that lie at `index`, of any shape."""
        return rows_at(self._values, index), rows_at(self._quality, index)

    def add(self, rows: Rows) -> I64:
        """Adds rows, whose slots rise. Of several rows of one time the first stays: the slots of
        those that fell out are returned."""
        late = ~self._in_order(rows)
        if not late.any():
            self._append(rows)
            return np.empty(0, np.int64)
        mixed = np.unique(rows.slots[late])
        among = np.isin(rows.slots, mixed)
        self._append(rows.take(~among))
        merged, repeated = _merged(self.of(mixed).followed_by(rows.take(among)))
        self._begin[mixed] = self._base[mixed]
        self.count[mixed] = 0
        self._append(merged)
        return repeated

    def release(self, slots: I64, counts: I64) -> None:
        """The first rows of these assets are needed no more: `counts` of each."""
        self._begin[slots] += counts
        self.count[slots] -= counts

    def _index(self, slots: I64) -> I64:
        return expand(self._begin[slots], self.count[slots])

    def _in_order(self, rows: Rows) -> Bools:
        """Whether each row is newer than the asset's row before it."""
        newer = np.empty(len(rows), bool)
        np.greater(rows.times[1:], rows.times[:-1], out=newer[1:])
        at = np.flatnonzero(heads(rows.slots))
        slots = rows.slots[at]
        known = self.count[slots] > 0
        last = self._begin[slots[known]] + self.count[slots[known]] - 1
        newer[at] = True
        newer[at[known]] = rows.times[at[known]] > self._times[last]
        return newer

    def _append(self, rows: Rows) -> None:
        at = np.flatnonzero(heads(rows.slots))
        slots = rows.slots[at]
        counts = np.diff(np.append(at, len(rows)))
        self._make_room(slots, counts)
        index = expand(self._begin[slots] + self.count[slots], counts)
        self._times[index] = rows.times
        self._first[index] = rows.first
        self._values[index] = rows.values
        self._quality[index] = rows.quality
        self.count[slots] += counts

    def _make_room(self, slots: I64, extra: I64) -> None:
        need = self.count[slots] + extra
        full = self._begin[slots] - self._base[slots] + need > self._room[slots]
        if not full.any():
            return
        grows = full & (4 * need > 3 * self._room[slots])
        room = _room_for(need[grows])
        if self._used + int(room.sum()) > len(self._times):
            self._rebuild(slots, need)
            return
        stays = slots[full & ~grows]
        self._move(stays, self._base[stays])
        slots = slots[grows]
        base = self._used + np.cumsum(room) - room
        self._used += int(room.sum())
        self._move(slots, base)
        self._base[slots], self._room[slots] = base, room

    def _move(self, slots: I64, to: I64) -> None:
        source, target = self._index(slots), expand(to, self.count[slots])
        for array in (self._times, self._first, self._values, self._quality):
            array[target] = rows_at(array, source)
        self._begin[slots] = to

    def _rebuild(self, slots: I64, need: I64) -> None:
        """All rows into new memory, where these assets have room for as many as they need."""
        wanted = self.count.copy()
        wanted[slots] = need
        room = np.where(wanted > 0, _room_for(wanted), 0)
        base = np.cumsum(room) - room
        self._used = int(room.sum())
        size = self._used + self._used // 2
        everyone = np.arange(len(wanted))
        source, target = self._index(everyone), expand(base, self.count)
        self._times = _moved(self._times, source, target, size)
        self._first = _moved(self._first, source, target, size)
        self._values = _moved(self._values, source, target, size)
        self._quality = _moved(self._quality, source, target, size)
        self._base, self._begin, self._room = base, base.copy(), room


def rows_at(array: NDArray[Any], index: I64) -> NDArray[Any]:
    """`array[index]`: of rows of several numbers numpy takes a tenth of the time so."""
    return array.take(index, axis=0)


def _moved(array: NDArray[Any], source: I64, target: I64, size: int) -> NDArray[Any]:
    new = np.empty((size, *array.shape[1:]), array.dtype)
    new[target] = rows_at(array, source)
    return new


def _room_for(count: I64) -> I64:
    return np.maximum(2 * count, _LEAST_ROOM)


def _merged(rows: Rows) -> tuple[Rows, I64]:
    """In order of slot and time, one row for each time; the slots of those that fell out."""
    rows = rows.take(np.lexsort((rows.times, rows.slots)))
    keep = heads(rows.slots) | heads(rows.times)
    return rows.take(keep), rows.slots[~keep]
