"""`make faults`: FAULTS_ONLY=name,name…, FAULTS_JSON=FILE, FAULTS_FOLDER=folder for all logs; exit
code 0 only if all held."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import psutil

from broker.kafka_local import LocalKafka
from contracts.errors import VigiaError
from tests.faults import brokers, models, payloads, processes
from tests.faults.books import Books, unaccounted
from tests.faults.cameras import NAMES as CAMERAS
from tests.faults.cameras import camera_rows
from tests.faults.clock import STEPS, clock_environment
from tests.faults.follower import Follower
from tests.faults.meters import Meters, now_us
from tests.faults.plant import write_plant
from tests.faults.row import Found, Row, Strike, head
from tests.faults.sources import SOURCES
from tests.faults.world import World
from tests.processes.clocks import find_faketime
from tests.processes.mosquitto import Mosquitto, find_mosquitto
from tests.processes.small_disk import NoSmallDisk, small_disk

CALM_S = 3.0
FAILURES = (AssertionError, VigiaError, OSError, psutil.Error, subprocess.SubprocessError)
"""What a fault that does not go as it should raises: the others are done all the same."""
DISK_MB = 16
LINE: Mapping[str, Strike] = {
    "kill-worker": processes.kill_worker,
    "kill-edge": processes.kill_edge,
    "kill-exporter": processes.kill_exporter,
    "kill-kafka": processes.kill_kafka,
    "stop-worker": processes.stop_worker,
    "stop-edge": processes.stop_edge,
    "stop-kafka": processes.stop_kafka,
    "kafka-away": brokers.kafka_away,
    "kafka-restarted": brokers.kafka_restarted,
    "mqtt-restarted": brokers.mqtt_restarted,
    "outage-pages-nobody": brokers.outage,
    "disk-full": brokers.disk_full,
    **SOURCES,
    "poison": payloads.poison,
    "untrusted-bytes": payloads.untrusted,
    "model-fails": models.wrong("fails", "a model that raises at some windows"),
    "model-nan": models.wrong("nan", "a model that answers NaN for some windows"),
    "session-grows": models.grows,
    "topic-vanishes": brokers.topic_vanishes,
    "rebalance": processes.rebalance,
    "zombie": processes.zombie,
    "deaf-consumer": processes.deaf,
    "sigterm": processes.sigterm,
    "sigterm-kafka-away": processes.sigterm_away,
}
EVERY = (*LINE, *STEPS, *CAMERAS)


def main() -> int:
    began = time.monotonic()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # Asked to end, it ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wanted = _wanted()
    with ExitStack() as stack:
        folder = os.environ.get("FAULTS_FOLDER")
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-"))
        rows = asyncio.run(table(Path(folder), wanted))
    told = {
        "faults": [row.told() for row in rows],
        "held": all(row.holds for row in rows),
        "skipped": [row.fault for row in rows if row.skipped],
        "seconds": round(time.monotonic() - began, 1),
    }
    text = json.dumps(told, indent=2)
    print(text)
    if path := os.environ.get("FAULTS_JSON"):
        Path(path).write_text(text)
    print("\n".join([head(), *(row.line() for row in rows)]), file=sys.stderr)
    strict = os.environ.get("VIGIA_REQUIRE_REAL") == "1"
    return 0 if told["held"] and not (strict and told["skipped"]) else 1


def _wanted() -> set[str]:
    names = os.environ.get("FAULTS_ONLY", "")
    wanted = {name for name in names.split(",") if name} or set(EVERY)
    if unknown := sorted(wanted - set(EVERY)):
        raise SystemExit(f"faults: there is no {', '.join(unknown)}; there are {', '.join(EVERY)}")
    return wanted


async def table(folder: Path, wanted: set[str]) -> list[Row]:
    """The rows of all faults that are wanted, in order."""
    program = find_mosquitto()
    if program is None:
        raise SystemExit("faults: no Mosquitto; as root `make test` installs it")
    rows: list[Row] = []
    with LocalKafka(folder / "kafka") as kafka, Mosquitto(program, folder / "mosquitto") as mqtt:
        rows += await _on_a_line(folder / "line", kafka, mqtt, _of(LINE, wanted))
        rows += await _by_the_clock(folder / "clock", kafka, mqtt, _of(STEPS, wanted))
        rows += await camera_rows(folder / "eyes", kafka, mqtt, wanted)
    return rows


def _of(faults: Mapping[str, Strike], wanted: set[str]) -> dict[str, Strike]:
    return {name: strike for name, strike in faults.items() if name in wanted}


async def _by_the_clock(
    folder: Path, kafka: LocalKafka, mqtt: Mosquitto, faults: Mapping[str, Strike]
) -> list[Row]:
    library = find_faketime()
    if library is None:
        why = "no libfaketime: `make test` installs it as root"
        return [Row(name, Found(""), skipped=why) for name in faults]
    return await _on_a_line(folder, kafka, mqtt, faults, clock_environment(library, folder))


async def _on_a_line(
    folder: Path,
    kafka: LocalKafka,
    mqtt: Mosquitto,
    faults: Mapping[str, Strike],
    environ: Mapping[str, str] | None = None,
) -> list[Row]:
    """Each fault in turn, on one line."""
    if not faults:
        return []
    rows = []
    prefix = f"{folder.name}{os.getpid()}"
    plant = write_plant(folder, prefix, mqtt.port)
    follower, meters = Follower(kafka.bootstrap, prefix), Meters(mqtt.port)
    world = World(kafka, mqtt, folder, prefix, plant, meters, follower, environ=environ or {})
    async with AsyncExitStack() as running:
        no_disk = _small_disk(running, world.spool) if "disk-full" in faults else ""
        running.push_async_callback(world.stop)
        await world.start()
        meters.start()
        running.callback(meters.stop)
        await world.recovered()
        for name, strike in faults.items():
            if name == "disk-full" and no_disk:
                rows.append(Row(name, Found(""), skipped=no_disk))
            else:
                rows.append(await _strike(world, name, strike))
            print(rows[-1].line(), file=sys.stderr, flush=True)
    return rows


def _small_disk(running: AsyncExitStack, folder: Path) -> str:
    """A small disk for as long as the line runs; or why there is none."""
    try:
        running.enter_context(small_disk(folder, DISK_MB))
    except NoSmallDisk as reason:
        return str(reason)
    return ""


async def _strike(world: World, name: str, strike: Strike) -> Row:
    found, error, world.since_us = Found(""), "", now_us()
    books = Books(world, world.since_us)
    try:
        await asyncio.sleep(CALM_S)
        await world.recovered()
        found = await strike(world)
        await asyncio.sleep(CALM_S)
        await _balanced(world)
    except FAILURES as problem:
        error = f"{type(problem).__name__}: {problem}"
        await world.mend()
    return Row(name, found, await books.close(), error)


async def _balanced(world: World) -> None:
    """Until every stage's account adds up, which those of a stage under way may not."""
    await world.until(
        lambda: not unaccounted(world), f"unaccounted: {unaccounted(world)}", limit_s=15
    )


if __name__ == "__main__":
    sys.exit(main())
