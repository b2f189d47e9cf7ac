"""What the sensors of a seeded plant send by MQTT, and the windows that must come of it: counted
here from what was sent, in the plainest way, without any of the product's window code.

Rows of an asset come out of order by at most DISORDER_US, some twice, and some so late that no
window can have them, whatever the batches into which an edge puts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
from numpy.typing import NDArray

from tests.chaos.world import HOP_US, PERIOD_US, SIGNALS, START_US, WIDTH_US

DISORDER_US, LATENESS_US = 300_000, 500_000
"""The second is the signal set's in the plant file: the edge waits for rows for so long."""
LATE_ROWS = 700
"""More than an edge puts into one batch: a row that so many others have overtaken finds its
windows closed."""
END_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message: the rows of `asset` at `times_us`."""

    asset: str
    times_us: tuple[int, ...]
    payload: bytes


@dataclass
class Meter:
    """One asset's sensor."""

    asset: str
    r: np.random.Generator
    now: int = START_US
    stolen: float = 0.0
    sent: int = 0
    _waiting: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 6)))
    _late: list[tuple[int, NDArray[np.float64]]] = field(default_factory=list)
    _before: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 5)))

    def message(self, count: int) -> Message:
        """About `count` rows."""
        rows = self._due(self._made(count))
        if self.r.random() < 0.05:
            rows = np.concatenate((rows, self._before[:2]))
        self._before = rows
        if self._late and self.sent - self._late[0][0] > LATE_ROWS:
            rows = np.concatenate((rows, self._late.pop(0)[1]))
        self.sent += len(rows)
        return _message(self.asset, rows)

    def last(self) -> list[Message]:
        """What is left; a row that closes all windows; and one that closes those of that row."""
        left = self._waiting[np.argsort(self._waiting[:, 5])][:, :5]
        found = [_message(self.asset, left)] if len(left) else []
        for _ in range(2):
            self.now += END_US
            found.append(_message(self.asset, self._signals(np.array([self.now]))))
        return found

    def _made(self, count: int) -> NDArray[np.float64]:
        """The next rows: time, signals, and when each leaves."""
        r = self.r
        if r.random() < 0.01:
            self.now += int(r.integers(10, 300)) * PERIOD_US
        if r.random() < 0.05:
            self.stolen = float(r.choice([0.0, 0.0, 0.03, 0.08]))
        times = self.now + np.arange(1, count + 1) * PERIOD_US
        self.now = int(times[-1])
        rows = self._signals(times)
        late = r.random(count) < 0.003
        if late.any():
            self._late.append((self.sent, rows[late]))
        leaves = times + r.integers(0, DISORDER_US, count)
        return np.column_stack((rows, leaves))[~late]

    def _due(self, made: NDArray[np.float64]) -> NDArray[np.float64]:
        """The rows that leave by now, in the order in which they do."""
        waiting = np.concatenate((self._waiting, made))
        due = waiting[:, 5] <= self.now
        self._waiting = waiting[~due]
        leaving = waiting[due]
        rows: NDArray[np.float64] = leaving[np.argsort(leaving[:, 5], kind="stable")][:, :5]
        return rows

    def _signals(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        r, count = self.r, len(times)
        inlet = 1.0 + 0.1 * np.sin(times / 6e7) + r.normal(0, 0.002, count)
        outlet = inlet * (0.984 - self.stolen) + r.normal(0, 0.002, count)
        noise = r.normal(0, 0.003, (count, 2))
        first = np.exp(-1.30 + noise[:, 0]) * inlet**2
        second = np.exp(-1.28 + noise[:, 1]) * outlet**2
        made: NDArray[np.float64] = np.column_stack((times, inlet, outlet, first, second))
        return made


def messages(seed: int, assets: Sequence[str], rows: int) -> Iterator[Message]:
    """At least `rows` rows, and the last ones of each asset. The same for the same seed."""
    r = np.random.default_rng(seed)
    meters = [Meter(asset, np.random.default_rng([seed, n])) for n, asset in enumerate(assets)]
    left = rows
    while left > 0:
        message = meters[int(r.integers(len(meters)))].message(int(r.integers(1, 20)))
        left -= len(message.times_us)
        if message.times_us:
            yield message
    for meter in meters:
        yield from meter.last()


def in_time(sent: Sequence[Message]) -> dict[str, set[int]]:
    """The times of each asset's rows that did not come late."""
    found: dict[str, set[int]] = {}
    newest: dict[str, int] = {}
    for message in sent:
        some = found.setdefault(message.asset, set())
        for time_us in message.times_us:
            last = newest.get(message.asset, time_us)
            # A row is late by far, or by less than the edge waits: nothing lies between.
            if time_us > last - LATENESS_US:
                some.add(time_us)
            newest[message.asset] = max(last, time_us)
    return found


def windows_of(rows: dict[str, set[int]]) -> set[tuple[str, int]]:
    """Every (asset, window start) with a row, that ended before the asset's last row."""
    found = set()
    for asset, times in rows.items():
        firsts = np.array(sorted(times)) // HOP_US
        numbers = np.unique(firsts[:, None] - np.arange(WIDTH_US // HOP_US)[None, :])
        last = max(times)
        starts = (numbers * HOP_US).tolist()
        found |= {(asset, start) for start in starts if start + WIDTH_US <= last}
    return found


def _message(asset: str, rows: NDArray[np.float64]) -> Message:
    times = tuple(rows[:, 0].astype(np.int64).tolist())
    items = [
        {"t": time_us, **dict(zip(SIGNALS, values, strict=True))}
        for time_us, values in zip(times, rows[:, 1:].tolist(), strict=True)
    ]
    return Message(asset, times, orjson.dumps({"rows": items}))
