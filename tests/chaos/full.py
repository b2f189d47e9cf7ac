"""`make chaos-full`: a whole site, from MQTT to alarms, that is hurt in every way: edge, workers
and Kafka are killed and stopped. CHAOS_SEED, CHAOS_ROWS, CHAOS_FRAMES, CHAOS_FAULTS, CHAOS_ASSETS,
CHAOS_RATE (rows/s; 0: as fast as it goes), CHAOS_JSON; exit code 0 only if what was decided is
what the uninterrupted run decided, and what had to be by what the MQTT broker had confirmed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from broker.kafka_local import LocalKafka
from broker.reader import end_offsets, read, read_tail
from contracts.errors import BrokerError
from contracts.headers import header_map, int_header
from contracts.identity import detection_id
from contracts.readings import ReadingDecoder
from tests.asked import asked
from tests.chaos.feed import Message, in_time, messages, windows_of
from tests.chaos.line import Line, Outcome, equal, open_windows, outcome, same, same_alarms
from tests.chaos.site import Sensors, Site, go_on, stop_for
from tests.chaos.tanks import DETECTORS as SEEN
from tests.chaos.tanks import Tanks
from tests.chaos.world import DETECTORS, WIDTH_US, count_windows, write_plant
from tests.processes.mosquitto import Mosquitto, find_mosquitto

PARTITIONS = 4
WORKERS = ("a", "b")
PATIENCE_S = 300.0
QUIET_LOOKS = 3
WHEN = frozenset({"received_us", "backfill"})
"""What differs between two runs of the same input: when a message came, and how long that took."""


@dataclass(frozen=True)
class Settings:
    """What is asked for."""

    seed: int = 1
    rows: int = 2_000_000
    frames: int = 20_000
    faults: int = 30
    assets: int = 200
    rate: int = 6_000


def main() -> int:
    settings = asked(Settings, "CHAOS")
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        try:
            found = asyncio.run(chaos(settings, Path(folder)))
        finally:
            _keep(Path(folder))
    text = json.dumps(found, indent=2)
    print(text)
    if path := os.environ.get("CHAOS_JSON"):
        Path(path).write_text(text)
    return 0 if found["equal"] else 1


def _keep(folder: Path) -> None:
    """What the processes said, into CHAOS_LOGS where one asks for it."""
    if kept := os.environ.get("CHAOS_LOGS"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        for path in folder.rglob("*.log"):
            shutil.copy2(path, Path(kept) / path.name)


async def chaos(settings: Settings, folder: Path) -> dict[str, Any]:
    """Both runs and what came of them."""
    began = time.monotonic()
    with LocalKafka(folder / "kafka") as kafka:
        calm, _ = await _run(settings, folder, kafka, "calm", 0)
        wild, faults = await _run(settings, folder, kafka, "wild", settings.faults)
        found = await _compare(settings, calm, wild)
    by_kind = Counter(fault["kind"] for fault in faults)
    seconds = round(time.monotonic() - began, 1)
    return {**found, "faults": faults, "faults_by_kind": dict(by_kind), "seconds": seconds}


async def _run(
    settings: Settings, folder: Path, kafka: LocalKafka, kind: str, faults: int
) -> tuple[Site, list[dict[str, Any]]]:
    """One run of the whole input, with so many faults."""
    program = find_mosquitto()
    if program is None:
        raise SystemExit("chaos: no Mosquitto; as root `make test` installs it")
    assets = [f"chaos/a{number:03d}" for number in range(settings.assets)]
    tanks = [f"tanks/t{number:02d}" for number in range(10 if settings.frames else 0)]
    prefix = f"{kind}{settings.seed}x{os.getpid()}"
    plant = write_plant(folder, assets, prefix, PARTITIONS, tanks)
    line = Line(kafka.bootstrap, prefix, PARTITIONS, plant, [])
    await line.create()
    with Mosquitto(program, folder / prefix) as mosquitto:
        feed = messages(settings.seed, assets, settings.rows)
        sensors = Sensors(mosquitto.port, feed, settings.rate)
        frames = Tanks(settings.seed, tanks).frames(settings.frames)
        site = Site(kafka, mosquitto, line, sensors, frames, total_rows=settings.rows)
        following = asyncio.create_task(site.follow())
        try:
            site.start(WORKERS)
            await _ready(site)
            sensors.start()
            writing = asyncio.create_task(site.write_frames())
            done = await _hurt(site, settings, faults) if faults else []
            await _until(site, lambda: _settled(site, assets), "the input never arrived")
            await writing
            await _quiet(site)
        finally:
            following.cancel()
            site.close()
    return site, done


async def _ready(site: Site) -> None:
    """Until the edge hears and the workers have their partitions: before its first session the
    MQTT broker keeps nothing for an edge."""

    async def told() -> bool:
        rooms = Counter(process.split("/")[0] for process in site.statuses)
        return rooms["edge"] >= 1 and rooms["stream"] >= len(WORKERS)

    await _until(site, told, "the line did not start")
    await asyncio.sleep(10)


async def _hurt(site: Site, settings: Settings, faults: int) -> list[dict[str, Any]]:
    """So many faults, spread over the input, each kind as often as the others."""
    r = np.random.default_rng([settings.seed, 99])
    kinds = (list(FAULTS) * (faults // len(FAULTS) + 1))[:faults]
    r.shuffle(kinds)
    points = np.sort(r.uniform(0.03, 0.95, faults)) * settings.rows
    # The input goes on while a fault lasts, and waits for its end where the next one would begin.
    gates = [*points[1:].tolist(), 0.98 * settings.rows]
    done = []
    for kind, point, gate in zip(kinds, points.tolist(), gates, strict=True):
        site.sensors.gate = gate
        while site.sensors.rows < point:
            site.check()
            await asyncio.sleep(0.05)
        done.append(await _strike(site, kind, r))
        print(json.dumps(done[-1]), file=sys.stderr, flush=True)
    site.sensors.gate = float("inf")
    return done


async def _strike(site: Site, kind: str, r: np.random.Generator) -> dict[str, Any]:
    """One fault, at a moment when work is under way."""
    moment: dict[str, Any] = {}

    async def matters() -> bool:
        try:
            lag = await site.line.lag("readings", "frames")
        except BrokerError:
            return False
        held = _held(site)
        moment.update(lag=lag, **held)
        return lag > 0 and held["open_windows"] > 0

    await _until(site, matters, "no moment matters any more")
    began = time.monotonic()
    what = await FAULTS[kind](site, r)
    seconds = round(time.monotonic() - began, 1)
    return {"kind": kind, "at_row": site.sensors.rows, **moment, **what, "seconds": seconds}


def _held(site: Site) -> dict[str, int]:
    """What edge and workers have in their hands, by what they said last."""
    newest: dict[str, Any] = {}
    for process, status in site.statuses.items():
        room = process.rsplit("-", 1)[0] if process.startswith("stream/") else process
        if room not in newest or newest[room].started_us < status.started_us:
            newest[room] = status
    edge = [s.account["edge.rows"].held for s in newest.values() if "edge.rows" in s.account]
    return {"open_windows": open_windows(list(newest.values())), "edge_readings": sum(edge)}


async def _kill_worker(site: Site, r: np.random.Generator) -> dict[str, Any]:
    name = str(r.choice(sorted(site.line.workers)))
    site.line.kill(name)
    site.line.start(name)
    return {"worker": name}


async def _kill_edge(site: Site, r: np.random.Generator) -> dict[str, Any]:
    site.kill_edge()
    await asyncio.sleep(float(r.uniform(0, 2)))
    site.start_edge()
    return {}


async def _kill_kafka(site: Site, r: np.random.Generator) -> dict[str, Any]:
    await asyncio.to_thread(site.kafka.kill)
    await asyncio.sleep(float(r.uniform(0, 5)))
    await asyncio.to_thread(site.kafka.start)
    return {}


async def _stop(site: Site, name: str, seconds: float) -> dict[str, Any]:
    pid = site.pids()[name]
    stop_for(pid)
    await asyncio.sleep(seconds)
    go_on(pid)
    return {"process": name, "stopped_s": round(seconds, 1)}


async def _stop_worker(site: Site, r: np.random.Generator) -> dict[str, Any]:
    # Longer than Kafka waits for it: its partitions are another's when it wakes.
    return await _stop(site, str(r.choice(sorted(site.line.workers))), float(r.uniform(10, 14)))


async def _stop_edge(site: Site, r: np.random.Generator) -> dict[str, Any]:
    return await _stop(site, "edge", float(r.uniform(2, 10)))


async def _stop_kafka(site: Site, r: np.random.Generator) -> dict[str, Any]:
    return await _stop(site, "kafka", float(r.uniform(2, 10)))


FAULTS: Mapping[str, Callable[[Site, np.random.Generator], Awaitable[dict[str, Any]]]] = {
    "kill-edge": _kill_edge,
    "kill-worker": _kill_worker,
    "kill-kafka": _kill_kafka,
    "stop-edge": _stop_edge,
    "stop-worker": _stop_worker,
    "stop-kafka": _stop_kafka,
}


async def _until(site: Site, true: Callable[[], Awaitable[bool]], why: str) -> None:
    limit = time.monotonic() + PATIENCE_S
    rows = site.sensors.rows
    while not await true():
        if site.sensors.rows != rows:
            rows, limit = site.sensors.rows, time.monotonic() + PATIENCE_S
        if time.monotonic() > limit:
            raise SystemExit(f"chaos: {site.line.prefix}: {why}")
        site.check()
        await asyncio.sleep(0.3)


async def _settled(site: Site, assets: list[str]) -> bool:
    """Whether all is published and the last row of every asset is on the log."""
    if not site.sensors.ended:
        return False
    last = {message.asset: message.times_us[-1] for message in site.sensors.sent[-len(assets) :]}
    topic = f"{site.line.prefix}.readings"
    there: dict[str, int] = {}
    try:
        for partition in await end_offsets(site.line.bootstrap, topic):
            for record in await read_tail(site.line.bootstrap, topic, partition, 4_000):
                asset = (record.key or b"").decode()
                newest_us = int_header(header_map(record.headers), "ce_newest")
                there[asset] = max(newest_us, there.get(asset, 0))
    except BrokerError:
        return False
    return all(there.get(asset) == time_us for asset, time_us in last.items())


async def _quiet(site: Site) -> None:
    """Until nothing more is decided. Windows of the last rows stay open for ever."""
    topics = [f"{site.line.prefix}.{name}" for name in ("detections", "alarms", "alerts")]
    before: Any = None
    alike, since = 0, time.monotonic()
    while alike < QUIET_LOOKS:
        site.check()
        now = [await end_offsets(site.line.bootstrap, topic) for topic in topics]
        if now != before:
            since = time.monotonic()
        rests = now == before and not await site.line.lag("frames", "detections")
        alike, before = alike + 1 if rests else 0, now
        if time.monotonic() - since > PATIENCE_S:
            raise SystemExit(f"chaos: {site.line.prefix}: it never came to rest")
        await asyncio.sleep(6)


async def _compare(settings: Settings, calm: Site, wild: Site) -> dict[str, Any]:
    """The figures."""
    reference, found = await outcome(calm.line), await outcome(wild.line)
    expected = _expected(wild)
    missing = expected.keys() - found.detections.keys()
    await _trace(wild, sorted(expected[key] for key in missing))
    rows = in_time(wild.sensors.sent)
    lost, again = await _rows(wild, rows)
    alarms = same_alarms(reference, found, WHEN)
    doubled = found.conflicts + reference.conflicts
    alike = equal(reference, found) and found.detections.keys() == expected.keys()
    return {
        "seed": settings.seed,
        "rows": wild.sensors.rows,
        "frames": len(wild.frames),
        "rows_in_time": sum(map(len, rows.values())),
        "rows_lost": lost,
        "rows_written_again": again,
        "windows_expected": len(expected),
        "windows_effective": len(found.detections),
        "windows_uninterrupted": len(reference.detections),
        "windows_missing": len(missing),
        "windows_too_many": len(found.detections.keys() - expected.keys()),
        "missing": sorted(expected[key] for key in missing)[:20],
        "decided_otherwise": _otherwise(reference, found),
        "decided_again_alike": found.repeats,
        "duplicates": doubled,
        "alerts": len(reference.alerts),
        "alarms_equal": alarms,
        "equal": alike and alarms and not doubled and not lost,
    }


def _expected(site: Site) -> dict[str, str]:
    """The ids of all detections that there must be, and which they are."""
    windows = windows_of(in_time(_confirmed(site)))
    wanted = [(a, d, s) for a, s in windows for d in DETECTORS]
    wanted += [(a, d, s) for a, s in count_windows(site.frames) for d in SEEN]
    return {detection_id(a, d, s, s + WIDTH_US): f"{a} {d} {s}" for a, d, s in wanted}


def _confirmed(site: Site) -> list[Message]:
    if not site.sensors.ended:
        raise SystemExit("chaos: the MQTT broker has not confirmed everything")
    return site.sensors.sent


def _otherwise(reference: Outcome, found: Outcome) -> int:
    """Windows that both runs decided, and not alike."""
    both = reference.detections.keys() & found.detections.keys()
    return sum(not same(reference.detections[key], found.detections[key]) for key in both)


async def _trace(site: Site, missing: list[str]) -> None:
    """What is missing, and every message of those assets as it is on the log, into CHAOS_LOGS
    where one asks for it."""
    kept = os.environ.get("CHAOS_LOGS")
    if not (kept and missing):
        return
    Path(kept).mkdir(parents=True, exist_ok=True)
    (Path(kept) / "missing.txt").write_text("\n".join(missing))
    assets = {one.split()[0] for one in missing}
    decoder = ReadingDecoder()
    with (Path(kept) / "messages.jsonl").open("w") as file:
        async for record in read(
            site.line.bootstrap, f"{site.line.prefix}.readings", until_end=True
        ):
            batch = decoder.decode(record.value, record.headers)
            if batch.asset in assets:
                told = {"offset": record.offset, "asset": batch.asset, **asdict(batch.position)}
                told |= {"at_ms": record.timestamp_ms, "times": batch.times_us.tolist()}
                print(json.dumps(told), file=file)


async def _rows(site: Site, wanted: Mapping[str, set[int]]) -> tuple[int, int]:
    """Of the rows that came in time, how many are not on the log; and how many rows are there
    more than once."""
    decoder, seen, total = ReadingDecoder(), dict[str, set[int]](), 0
    async for record in read(site.line.bootstrap, f"{site.line.prefix}.readings", until_end=True):
        batch = decoder.decode(record.value, record.headers)
        some = batch.times_us[np.isfinite(batch.values).any(axis=1)].tolist()
        total += len(some)
        seen.setdefault(batch.asset, set()).update(some)
    of_sensors = {asset: seen.get(asset, set()) for asset in wanted}
    lost = sum(len(times - of_sensors[asset]) for asset, times in wanted.items())
    return lost, total - sum(map(len, seen.values()))


if __name__ == "__main__":
    sys.exit(main())
