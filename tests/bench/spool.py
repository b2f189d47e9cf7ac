"""How fast the spool is: `python -m tests.bench.spool [MINUTES]` prints JSON lines.

An outage of so many minutes at 200 assets and 10 rows a second of four signals, as an edge makes
batches of it: one of ten rows for each asset and second, 200 of them a write. They are written to
the disk of the temporary folder, each write synced, and then brought to a real Kafka.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from broker.kafka_local import LocalKafka
from broker.producer import Producer
from broker.topics import TopicSpec, create_topics
from contracts.readings import Column, Position, ReadingBatch, encode_rows
from contracts.topics import READINGS, topic_name
from edge.adapters.disk import DiskSpool
from edge.adapters.kafka import KafkaLog
from edge.adapters.keeper import Keeper, Ways
from edge.adapters.shelf import Shelf
from edge.core.backlog import Backlog, Note

ASSETS, HZ, SIGNALS = 200, 10, 4
S = 1_000_000


def notes(second: int) -> list[Note]:
    """A second of all assets."""
    columns = tuple(Column(f"s{number}", "kPa") for number in range(SIGNALS))
    times = np.arange(HZ, dtype=np.int64) * (S // HZ) + second * S
    values = np.random.default_rng(second).random((HZ, SIGNALS))
    quality = np.zeros((HZ, SIGNALS), np.uint8)
    found = []
    for number in range(ASSETS):
        asset = f"site/a{number}"
        batch = ReadingBatch(asset, Position(0), columns, times, values, quality)
        newest = int(times[-1])
        found.append(Note(asset, newest, newest, newest, HZ * SIGNALS, encode_rows(batch)))
    return found


def say(what: str, **figures: float) -> None:
    """One line of results."""
    print(json.dumps({"what": what, **{k: round(v, 4) for k, v in figures.items()}}), flush=True)


async def measure(minutes: float, folder: Path, bootstrap: str) -> None:
    """Both ways."""
    await create_topics(bootstrap, [TopicSpec(topic_name(READINGS, "b"), 4, READINGS.config())])
    producers = [Producer(bootstrap), Producer(bootstrap)]
    await asyncio.gather(*(producer.start() for producer in producers))
    live, patient = (
        KafkaLog(producer, bootstrap=bootstrap, prefix="b", process="edge/bench")
        for producer in producers
    )
    shelf = Shelf(Backlog(10**10), DiskSpool(folder / "readings.db"), "readings")
    keeper = Keeper(shelf, Ways(live, patient, 30 * S))
    await keeper.open()
    seconds = [notes(second) for second in range(round(minutes * 60))]
    took = []
    cpu_s = time.process_time()
    for some in seconds:
        begun_s = time.perf_counter()
        await keeper.write(some)
        took.append(time.perf_counter() - begun_s)
    rows = len(seconds) * ASSETS * HZ
    say(
        "to disk, 200 batches a synced write",
        writes_a_second=len(took) / sum(took),
        rows_a_second=rows / sum(took),
        p50_ms=1e3 * float(np.percentile(took, 50)),
        p99_ms=1e3 * float(np.percentile(took, 99)),
        cpu_ms_a_batch=1e3 * (time.process_time() - cpu_s) / (len(took) * ASSETS),
        bytes_a_row=shelf.backlog.bytes / rows,
        file_bytes_a_row=sum(f.stat().st_size for f in folder.glob("readings*")) / rows,
        hours_in_a_gigabyte=1e9 / (shelf.backlog.bytes / minutes) / 60,
    )
    begun_s = time.perf_counter()
    running = asyncio.create_task(keeper.run())
    beside = await other_assets(keeper)
    drained_s = time.perf_counter() - begun_s
    say("to Kafka", minutes=minutes, seconds=drained_s, rows_a_second=rows / drained_s)
    say("others beside", p50_ms=float(np.median(beside)), p99_ms=float(np.percentile(beside, 99)))
    say("others alone", p50_ms=float(np.median(await other_assets(keeper, 200))))
    running.cancel()
    await keeper.close()
    await asyncio.gather(*(producer.stop() for producer in producers))


async def other_assets(keeper: Keeper, times: int = 0) -> list[float]:
    """What a write of assets without backlog takes, in ms: at least so many times, and until the
    backlog is gone."""
    took: list[float] = []
    some = [replace(note, asset=f"live/{note.asset}") for note in notes(0)[:20]]
    while not keeper.goes_live(some[0].asset):
        await asyncio.sleep(0.01)
    while keeper.backlog.messages or len(took) < times:
        begun_s = time.perf_counter()
        if not await keeper.write(some):
            took.append(1e3 * (time.perf_counter() - begun_s))
        await asyncio.sleep(0.02)
    return took


def main() -> None:
    """Measures."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LocalKafka(folder / "kafka") as kafka:
            asyncio.run(measure(minutes, folder, kafka.bootstrap))


if __name__ == "__main__":
    main()
