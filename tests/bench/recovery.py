"""`python -m tests.bench recovery`: how long a worker that was killed needs until it decides live
windows again, with windows of 24 h over 200 assets at 10 rows a second.

The panes of the last day are written to their topic as a worker would have written them; rows come
live, each in a message of its own. The worker is killed with -9 shortly before a pane is complete,
and another one is started at once. Live again: what was received after the kill is decided within a
second of its receipt, windows of rows and windows of a day.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from broker.producer import Producer
from broker.reader import read
from contracts.messages import DetectionBatch, decode_json
from contracts.partitions import partition_of
from contracts.plant import read_plant
from contracts.readings import Column, Position, Quality, ReadingBatch, encode
from contracts.record import Outgoing
from contracts.topics import AGGREGATES, DETECTIONS, READINGS, topic_name
from tests.bench.figures import figure
from tests.chaos.line import Line

ASSETS, HZ, PARTITIONS = 200, 10, 4
PANE_US, DAY_US, LATENESS_US = 60_000_000, 86_400_000_000, 2_000_000
ROW_US = 1_000_000 // HZ
KILL_BEFORE_US = 5_000_000
LIVE_S = 1.0
PLANT = """
vigia: 1
kafka: {{prefix: {prefix}, partitions: {partitions}}}
sites:
  - id: bench
    assets: [{assets}]
signal_sets:
  line:
    rows: {{period: 100ms}}
    signals:
      - {{id: level, topic: "bench/{{asset}}/level", time: /t}}
      - {{id: flow, topic: "bench/{{asset}}/flow", time: /t}}
detectors:
  - {{id: now, kind: limit, signal: flow, high: 9, window: {{width: 3s, hop: 1s}}}}
  - id: day
    kind: limit
    signal: level
    high: 9
    window: {{width: 24h, hop: 1min, lateness: 2s, pane: 1min}}
  - id: flow-day
    kind: limit
    signal: flow
    of: max
    high: 9
    window: {{width: 24h, hop: 1min, lateness: 2s, pane: 1min}}
"""


@dataclass
class Plant:
    """The plant, and what is written for it."""

    line: Line
    assets: list[str]
    rows: tuple[Column, ...]
    panes: tuple[Column, ...]

    @classmethod
    async def create(cls, bootstrap: str, folder: Path, prefix: str) -> Plant:
        names = [f"a{number:03d}" for number in range(ASSETS)]
        listed = ", ".join(f"{{id: {name}, signals: line}}" for name in names)
        text = PLANT.format(prefix=prefix, partitions=PARTITIONS, assets=listed)
        file = folder / f"{prefix}.yaml"
        file.write_text(text)
        plant, first = read_plant(text), f"bench/{names[0]}"
        rows = plant.columns()[first]
        line = Line(bootstrap, prefix, PARTITIONS, file, [])
        await line.create()
        assets = [f"bench/{name}" for name in names]
        return cls(line, assets, rows, plant.panes()[first].columns(rows))

    def outgoing(self, topic: str, batch: ReadingBatch) -> Outgoing:
        value, headers = encode(batch, source="bench")
        place = partition_of(batch.asset, PARTITIONS)
        return Outgoing(f"{self.line.prefix}.{topic}", batch.asset.encode(), value, headers, place)


async def write_day(plant: Plant, producer: Producer, until: int) -> int:
    """The panes of a day before pane `until`; how many messages."""
    r, first = np.random.default_rng(1), until - DAY_US // PANE_US
    width = len(plant.panes)
    for number in range(first, until):
        start = number * PANE_US
        position = Position(number, start, start + PANE_US, start - PANE_US, start + PANE_US)
        times, good = np.array([start]), np.full((1, width), int(Quality.GOOD), np.uint8)
        part = []
        for asset in plant.assets:
            values = r.random((1, width))
            values[0, ::2] = PANE_US // ROW_US
            batch = ReadingBatch(asset, position, plant.panes, times, values, good)
            part.append(plant.outgoing(AGGREGATES.name, batch))
        await producer.send_all(part)
    return (until - first) * ASSETS


@dataclass
class Live:
    """Writes a row of every asset each period, by the clock, from `begin_us` on."""

    plant: Plant
    producer: Producer
    begin_us: int
    written: int = 0

    async def run(self) -> None:
        r = np.random.default_rng(2)
        good = np.zeros((1, len(self.plant.rows)), np.uint8)
        begin, period = self.begin_us // ROW_US, 0
        while True:
            due = (begin + period) * ROW_US
            wait = due - _now_us()
            if wait > 0:
                await asyncio.sleep(wait / 1e6)
            before = due - ROW_US
            position = Position(period, before + 1, due + 1, before, _now_us())
            times, part = np.array([due]), []
            for asset in self.plant.assets:
                values = r.random((1, len(self.plant.rows)))
                batch = ReadingBatch(asset, position, self.plant.rows, times, values, good)
                part.append(self.plant.outgoing(READINGS.name, batch))
            await self.producer.send_all(part)
            self.written += len(part)
            period += 1


@dataclass
class Decided:
    """When each detector's windows came, by the broker's clock: (window's end, latency in s)."""

    plant: Plant
    seen: dict[str, list[tuple[int, float, int]]] = field(default_factory=dict)

    async def follow(self) -> None:
        topic = topic_name(DETECTIONS, self.plant.line.prefix)
        async for record in read(self.plant.line.bootstrap, topic, from_start=False):
            batch = decode_json(DetectionBatch, record.value)
            at_us = record.timestamp_ms * 1000
            mine = self.seen.setdefault(batch.detector, [])
            for one in batch.items:
                mine.append((at_us, (at_us - one.received_us) / 1e6, one.end_us))

    def live(self, detector: str, after_us: int) -> int | None:
        """When the first window of `detector` that was completed after `after_us` was decided
        within LIVE_S of it."""
        for at_us, latency, _ in self.seen.get(detector, ()):
            if at_us - latency * 1e6 > after_us and latency <= LIVE_S:
                return at_us
        return None

    def first(self, detector: str, end_us: int) -> int | None:
        """When the first window that ends at `end_us` was decided."""
        return next((at for at, _, end in self.seen.get(detector, ()) if end == end_us), None)


async def recovery(bootstrap: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Seconds from the kill, in each round, and the worker's memory."""
    runs: dict[str, list[float]] = {}
    for number in range(rounds):
        for name, value in (await _round(bootstrap, folder, f"recovery{number}")).items():
            runs.setdefault(name, []).append(value)
    return [figure(name, name.rsplit(", ", 1)[1], values) for name, values in runs.items()]


async def _round(bootstrap: str, folder: Path, prefix: str) -> dict[str, float]:
    plant = await Plant.create(bootstrap, folder, prefix)
    producer = Producer(bootstrap, client_id="bench-input")
    await producer.start()
    # Time enough to write the panes and to let the first worker read them.
    until = (_now_us() + 45_000_000) // PANE_US
    panes = await write_day(plant, producer, until)
    await _sleep_until(until * PANE_US)
    live, decided = Live(plant, producer, until * PANE_US), Decided(plant)
    tasks = [asyncio.create_task(live.run()), asyncio.create_task(decided.follow())]
    plant.line.start("a")
    try:
        boundary = (until + 2) * PANE_US
        await _sleep_until(boundary - KILL_BEFORE_US)
        if decided.live("now", boundary - 10_000_000) is None:
            raise SystemExit("the first worker is not live by the time of the kill")
        before = await plant.line.lag(AGGREGATES.name), await plant.line.lag(READINGS.name)
        killed_us = _now_us()
        plant.line.kill("a")
        plant.line.start("a")
        found = await _measured(decided, killed_us, boundary)
        worker = psutil.Process(plant.line.workers["a"].pid)
        rss, used = worker.memory_info().rss / 1e6, worker.cpu_times()
    finally:
        for task in tasks:
            task.cancel()
        plant.line.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await producer.stop()
    return {
        **found,
        "panes of the day, messages": float(panes),
        "panes to read again, messages": float(before[0]),
        "rows to read again at the kill, messages": float(before[1]),
        "processor time of the worker until then, s": used.user + used.system,
        "memory of the worker, MB": rss,
    }


async def _measured(decided: Decided, killed_us: int, boundary: int) -> dict[str, float]:
    """Until all is live again."""
    deadline = killed_us + 180_000_000
    while _now_us() < deadline:
        await asyncio.sleep(0.2)
        rows, long = decided.live("now", killed_us), decided.first("day", boundary)
        if rows is not None and long is not None:
            return {
                "windows of 3 s live again after the kill, s": (rows - killed_us) / 1e6,
                "windows of 24 h live again after the kill, s": (long - killed_us) / 1e6,
            }
    raise SystemExit("not live again within 180 s")


async def _sleep_until(at_us: int) -> None:
    await asyncio.sleep(max(0.0, (at_us - _now_us()) / 1e6))


def _now_us() -> int:
    return time.time_ns() // 1000
