"""From MQTT to alarm: a real Mosquitto, edge, Kafka and worker on this machine, on-delay and
lateness 0, a message a row. The worker has the rule and the autoencoder."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from broker.reader import read
from broker.tether import spawn, stop
from contracts.messages import Alert, Status, decode_json
from tests.bench.figures import figure
from tests.bench.plants import assets_of, write_plant
from tests.bench.processor import Processor
from tests.chaos.line import Line
from tests.processes.mosquitto import Mosquitto, find_mosquitto

RATES = {500: 50, 1_000: 100, 5_000: 500}
"""Rows a second, and of how many assets: each has ten rows a second."""
HZ, SECONDS = 10, 60
SETTLE_S = 8.0


async def latency(bootstrap: str, folder: Path, parts: int) -> list[dict[str, Any]]:
    """One run of the whole line for each rate (BENCH_RATES: which); `runs` are the figures of its
    parts in time."""
    found = []
    for rate in map(int, os.environ.get("BENCH_RATES", "").split() or RATES):
        print(f"latency at {rate:,} rows/s", file=sys.stderr)
        some, spent = await alarm_latencies(bootstrap, folder, rate)
        split = [part for part in np.array_split(np.array(some), parts) if len(part)]
        name = f"MQTT receipt to acknowledged alarm, {rate:,} rows/s, {len(some)} alarms"
        for q in (50, 99):
            runs = [float(np.percentile(part, q)) for part in split]
            overall = {"overall": float(np.percentile(some, q))}
            found.append(figure(f"{name}, p{q}", "ms", runs) | overall)
        for process, seconds in spent.items():
            name = f"processor time at {rate:,} rows/s, {process}"
            found.append(figure(name, "s/s", [seconds / SECONDS]))
    return found


async def alarm_latencies(
    bootstrap: str, folder: Path, rate: int
) -> tuple[list[float], dict[str, float]]:
    """Milliseconds from the receipt of the row that completed the window to the broker's
    acknowledgement of the alert, for every alert of a run; and what each process took meanwhile."""
    program = find_mosquitto()
    if program is None:
        raise SystemExit("bench: no Mosquitto; as root `make test` installs it")
    prefix = f"latency{rate}"
    plant = write_plant(folder, assets_of(RATES[rate]), prefix, ("balance", "model"))
    line = Line(bootstrap, prefix, 4, plant, [])
    await line.create()
    with Mosquitto(program, folder / f"mosquitto{rate}") as broker, _edge(line, broker):
        line.start("a")
        try:
            await _running(line)
            processor = Processor.now()
            await _plant(broker, rate)
            spent = processor.spent()
            await asyncio.sleep(2)
        finally:
            line.close()
    return await _latencies(line), spent


@contextmanager
def _edge(line: Line, broker: Mosquitto) -> Iterator[None]:
    folder = line.plant.parent
    argv = [sys.executable, "-m", "edge", "run", "--plant", str(line.plant)]
    argv += ["--kafka", line.bootstrap, "--mqtt", f"{broker.host}:{broker.port}"]
    argv += ["--instance", "bench", "--spool", str(folder / f"{line.prefix}-spool")]
    with (folder / f"{line.prefix}-edge.log").open("wb") as output:
        edge = spawn(argv, output=output)
    try:
        yield
    finally:
        stop(edge)


async def _running(line: Line) -> None:
    """Until edge and worker have both said that they are there."""
    seen: set[str] = set()
    async for record in read(line.bootstrap, f"{line.prefix}.status"):
        seen.add(decode_json(Status, record.value).process.split("/")[0])
        if seen == {"edge", "stream"}:
            break
    await asyncio.sleep(SETTLE_S)


async def _plant(broker: Mosquitto, rate: int) -> None:
    argv = ["-m", "tests.bench.planter", str(broker.port), str(RATES[rate]), str(HZ), str(SECONDS)]
    planter = await asyncio.create_subprocess_exec(sys.executable, *argv)
    if await planter.wait():
        raise SystemExit("bench: the planter failed")


async def _latencies(line: Line) -> list[float]:
    """In the order in which the rows were received."""
    found = []
    async for record in read(line.bootstrap, f"{line.prefix}.alerts", until_end=True):
        alert = decode_json(Alert, record.value)
        received_ms = alert.received_us / 1000
        found.append((received_ms, record.timestamp_ms - received_ms))
    return [taken for _, taken in sorted(found)]
