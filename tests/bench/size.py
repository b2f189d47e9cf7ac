"""What a worker takes for the same rows a second, of 100, 1,000 and 10,000 assets, and its memory.

Every row is a message of its own, by the clock. Windows are of 30 rows by 5 however far apart an
asset's rows are, so that a row is the same work in all plants. Before that each asset has had rows
enough to fill its windows, all in one message; the processor time is that of the rows behind them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from broker.producer import Producer
from contracts.headers import NO_TIME
from contracts.partitions import partition_of
from contracts.readings import Position, ReadingBatch, encode
from contracts.record import Outgoing
from contracts.topics import READINGS, topic_name
from tests.bench.figures import figure
from tests.bench.plants import COLUMNS, assets_of, signals_of, write_plant
from tests.chaos.line import Line
from tests.chaos.world import START_US

RATE, SIZES, SECONDS = 5_000, (100, 1_000, 10_000), 20
FILLED = 36
"""Rows of each asset before: a window, a hop and one."""
PARTITIONS = 4
TICK_S = 0.005
LIMIT_S = 90.0
DETECTORS = {"balance": "rule alone", "model": "autoencoder alone"}


async def size(bootstrap: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """All figures, each with its runs (BENCH_DETECTORS: of which of DETECTORS)."""
    cpu: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, list[float]] = defaultdict(list)
    asked = os.environ.get("BENCH_DETECTORS", "").split() or list(DETECTORS)
    for number in range(rounds):
        for detector in asked:
            for assets in SIZES:
                print(f"size: round {number + 1}, {assets:,} assets, {detector}", file=sys.stderr)
                plant = _Plant.create(bootstrap, folder, assets, detector, number)
                seconds, rss = await plant.measure()
                name = f"worker, {assets:,} assets, {DETECTORS[detector]}"
                cpu[name].append(seconds / (RATE * SECONDS) * 1e6)
                memory[name].append(rss / 1e6)
    return [*_costs(cpu), *_memory(memory, asked)]


def _costs(cpu: dict[str, list[float]]) -> list[dict[str, Any]]:
    found = []
    for name, runs in cpu.items():
        least = f"worker, {SIZES[0]:,} assets, {name.rsplit(', ', 1)[1]}"
        what = f"processor time at {RATE:,} rows/s, a row a message, {name}"
        found.append(figure(what, "s/M rows", runs, least, cpu[least]))
    return found


def _memory(memory: dict[str, list[float]], asked: Sequence[str]) -> list[dict[str, Any]]:
    found = [figure(f"memory, {name}", "MB", runs) for name, runs in memory.items()]
    for detector in asked:
        few, many = (
            np.array(memory[f"worker, {assets:,} assets, {DETECTORS[detector]}"])
            for assets in SIZES[1:]
        )
        more = (many - few) / (SIZES[2] - SIZES[1]) * 1000
        name = f"memory of a thousand assets more, {DETECTORS[detector]}"
        found.append(figure(name, "MB", more.tolist()))
    return found


@dataclass
class _Plant:
    """So many assets, each with rows that are `period_us` apart; to be used once."""

    line: Line
    assets: list[str]
    period_us: int

    @classmethod
    def create(
        cls, bootstrap: str, folder: Path, assets: int, detector: str, number: int
    ) -> _Plant:
        period_us = assets * 1_000_000 // RATE
        prefix = f"size-{assets}-{detector}-{number}"
        own = folder / prefix
        own.mkdir()
        names = assets_of(assets)
        file = write_plant(own, names, prefix, (detector,), period_us)
        return cls(Line(bootstrap, prefix, PARTITIONS, file, []), names, period_us)

    async def measure(self) -> tuple[float, float]:
        """Seconds of processor time for SECONDS of rows, and resident bytes afterwards."""
        producer = Producer(self.line.bootstrap, client_id="bench-input")
        await self.line.create()
        await producer.start()
        await producer.send_all([self._message(asset, 0, FILLED) for asset in self.assets])
        rows = [self._message(*self._live(number)) for number in range(RATE * SECONDS)]
        following = asyncio.create_task(self.line.follow_status())
        self.line.start("a")
        try:
            await self._taken_in(FILLED * len(self.assets))
            worker = psutil.Process(self.line.workers["a"].pid)
            before = worker.cpu_times()
            await _by_the_clock(producer, rows)
            await self._taken_in(FILLED * len(self.assets) + len(rows))
            after = worker.cpu_times()
            rss = worker.memory_info().rss
        finally:
            following.cancel()
            self.line.close()
            await producer.stop()
        return after.user + after.system - before.user - before.system, float(rss)

    def _live(self, number: int) -> tuple[str, int, int]:
        """The asset of a row, and which of the asset's rows it is."""
        return self.assets[number % len(self.assets)], FILLED + number // len(self.assets), 1

    def _message(self, asset: str, first: int, count: int) -> Outgoing:
        """Rows of an asset, from its row `first` on."""
        times = START_US + (first + np.arange(count, dtype=np.int64)) * self.period_us
        before = int(times[0]) - self.period_us if first else NO_TIME
        watermark = before + 1 if first else NO_TIME
        sequence = first - FILLED + 1 if first else 0
        newest = int(times[-1])
        position = Position(sequence, watermark, newest + 1, before, newest)
        values = signals_of(np.random.default_rng(first), count)
        quality = np.zeros(values.shape, np.uint8)
        batch = ReadingBatch(asset, position, COLUMNS, times, values, quality)
        value, headers = encode(batch, source="edge/bench")
        topic = topic_name(READINGS, self.line.prefix)
        return Outgoing(topic, asset.encode(), value, headers, partition_of(asset, PARTITIONS))

    async def _taken_in(self, rows: int) -> None:
        """Until the worker says that it has so many rows, and is done with what it made."""
        limit = time.monotonic() + LIMIT_S
        while time.monotonic() < limit:
            for status in list(self.line.statuses.values()):
                account = status.account.get("stream.rows")
                if account is not None and account.taken_in >= rows:
                    return
            await asyncio.sleep(0.1)
        raise SystemExit(f"bench: {self.line.prefix}: not {rows} rows within {LIMIT_S:.0f} s")


async def _by_the_clock(producer: Producer, rows: Sequence[Outgoing]) -> None:
    began, sent = time.monotonic(), 0
    while sent < len(rows):
        due = int((time.monotonic() - began) * RATE) + 1
        if due > sent:
            await producer.send_all(rows[sent:due])
            sent = due
        await asyncio.sleep(TICK_S)
