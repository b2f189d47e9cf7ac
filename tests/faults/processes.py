"""Processes that are killed, stopped, asked to end, or live and do not work."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from broker.tether import spawn
from tests.chaos.site import go_on, stop_for
from tests.faults.plant import PARTITIONS
from tests.faults.row import Found
from tests.faults.world import ROOMS, World

EDGE_STOP_S, WORKER_STOP_S, KAFKA_STOP_S, ZOMBIE_S = 13.0, 4.0, 10.0, 14.0
LEAVE_S = 10.0
DEAF_S = 75.0
ALL_OF_THEM = f"readings: partitions {list(range(PARTITIONS))}"
SOME = re.compile(r"readings: partitions \[\d")


async def kill_edge(world: World) -> Found:
    """kill -9 under load."""
    return await _killed(world, "edge")


async def kill_worker(world: World) -> Found:
    """kill -9 of one of two."""
    return await _killed(world, "worker")


async def kill_exporter(world: World) -> Found:
    """kill -9 of who serves the metrics."""
    found = await _killed(world, "exporter")
    up = await world.until(lambda: _shows(world), "the metrics did not come back")
    found.recover_s = round((found.recover_s or 0) + up, 1)
    return found


async def _shows(world: World) -> bool:
    return bool(await world.metrics("vigia_process_up"))


async def _killed(world: World, room: str) -> Found:
    before = await asyncio.to_thread(world.pid, room)
    said = await world.kill(room)
    since = time.monotonic()
    detect_s = await world.said("ended by SIGKILL", said)
    await asyncio.sleep(max(0.0, 3 - (time.monotonic() - since)))
    await world.recovered()
    recover_s = time.monotonic() - since
    after = await asyncio.to_thread(world.pid, room)
    told = f"kill -9 of the {room} under load"
    return Found(told, {"started again": after != before}, detect_s, recover_s)


async def kill_kafka(world: World) -> Found:
    """kill -9, and Kafka started again at once."""
    said = len(world.log("edge"))
    since = time.monotonic()
    await asyncio.to_thread(world.kafka.kill)
    await asyncio.sleep(3)
    told = await world.until(
        lambda: "Kafka does not answer" in world.log("edge")[said:], "the edge did not notice"
    )
    detect_s = 3 + told
    await asyncio.to_thread(world.kafka.start)
    back = time.monotonic()
    await world.recovered()
    return Found(
        f"kill -9 of Kafka, started again {back - since:.0f} s later",
        {},
        detect_s,
        time.monotonic() - back,
        "recovery counts from when Kafka answers",
    )


async def stop_edge(world: World) -> Found:
    """SIGSTOP for longer than it may be silent."""
    return await _stopped(world, "edge", EDGE_STOP_S)


async def stop_worker(world: World) -> Found:
    """SIGSTOP for less than Kafka's patience with a member of a group."""
    return await _stopped(world, "worker", WORKER_STOP_S)


async def _stopped(world: World, room: str, seconds: float) -> Found:
    pid = await asyncio.to_thread(world.pid, room)
    stop_for(pid)
    since, detect_s = time.monotonic(), None
    process = {"edge": "edge/box", "worker": "stream/box-1"}[room]
    while time.monotonic() - since < seconds:
        if detect_s is None and await world.metric("vigia_process_up", process=process) == 0:
            detect_s = time.monotonic() - since
        await asyncio.sleep(0.2)
    go_on(pid)
    back = time.monotonic()
    await world.recovered()
    held = {"the same process went on": await asyncio.to_thread(world.pid, room) == pid}
    why = "" if detect_s is not None else "shorter than the 10 s after which it is told"
    told = f"SIGSTOP of the {room} for {seconds:.0f} s"
    return Found(told, held, detect_s, time.monotonic() - back, why)


async def stop_kafka(world: World) -> Found:
    """SIGSTOP: connections stay, and nobody answers."""
    said, pid = len(world.log("edge")), world.kafka.pid
    assert pid is not None
    stop_for(pid)
    detect_s = await world.until(
        lambda: "Kafka does not answer" in world.log("edge")[said:], "the edge did not notice"
    )
    await asyncio.sleep(max(0.0, KAFKA_STOP_S - detect_s))
    go_on(pid)
    back = time.monotonic()
    await world.recovered()
    told = f"SIGSTOP of Kafka for {KAFKA_STOP_S:.0f} s"
    return Found(told, {}, detect_s, time.monotonic() - back)


async def zombie(world: World) -> Found:
    """Stopped until its partitions were taken, a worker wakes with windows in its hands."""
    pid = await asyncio.to_thread(world.pid, "worker")
    taken = world.log("second").count(ALL_OF_THEM)
    stop_for(pid)
    since = time.monotonic()

    def all_taken() -> bool:
        return world.log("second").count(ALL_OF_THEM) > taken

    detect_s = await world.until(all_taken, "nobody took its partitions")
    recovered_s = detect_s + await world.recovered()
    await asyncio.sleep(max(0.0, ZOMBIE_S - (time.monotonic() - since)))
    go_on(pid)
    await asyncio.sleep(3)
    await world.recovered()
    held = {"its partitions were taken meanwhile": all_taken()}
    return Found(f"SIGSTOP of a worker for {ZOMBIE_S:.0f} s", held, detect_s, recovered_s)


async def rebalance(world: World) -> Found:
    """A third worker joins and leaves while windows are open."""
    before = world.log("worker").count("readings: partitions")
    third = _extra(world, "third")
    since = time.monotonic()

    def shared() -> bool:
        return world.log("worker").count("readings: partitions") > before

    try:
        detect_s = await world.until(shared, "nothing was shared out anew")
        await asyncio.sleep(2)
        recover_s = await world.recovered() + time.monotonic() - since
        third.terminate()
        code = await asyncio.to_thread(third.wait, 20)
        await asyncio.sleep(2)
        await world.recovered()
    finally:
        third.kill()
    told = "a third worker joins and leaves in the middle of windows"
    return Found(told, {"it left in order": code == 0}, detect_s, recover_s)


def _extra(world: World, name: str, module: str = "stream") -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", module, "worker", "--plant", str(world.plant)]
    argv += ["--kafka", world.kafka.bootstrap, "--instance", name]
    with _log(world, name).open("ab") as log:
        return spawn(argv, output=log, death_signal=signal.SIGKILL)


def _log(world: World, name: str) -> Path:
    return world.folder / f"{name}.log"


async def deaf(world: World) -> Found:
    """A worker whose consumer lives and does not consume, as Faust has been seen to do."""
    worker = _extra(world, "deaf", "tests.faults.deaf")
    try:
        await world.until(
            lambda: bool(SOME.search(_log(world, "deaf").read_text())), "it got no partition"
        )
        await world.recovered()
        os.kill(worker.pid, signal.SIGUSR1)
        since = time.monotonic()
        code = await asyncio.to_thread(worker.wait, DEAF_S)
        detect_s = time.monotonic() - since
        await world.recovered()
    finally:
        worker.kill()
    words = _log(world, "deaf").read_text()[-300:]
    held = {"it ended to be started again": code == 1, "it said why": "and there is some" in words}
    told = "a consumer that lives and does not consume (its flow is stopped in its own process)"
    return Found(told, held, detect_s, time.monotonic() - since)


async def sigterm(world: World) -> Found:
    """Each room is asked to end, while Kafka is there."""
    took = {}
    for room in ("edge", "worker", "exporter"):
        took[room] = await world.end(room)
        await asyncio.sleep(2)
    return await _ended(world, took, "SIGTERM to each room, Kafka present")


async def sigterm_away(world: World) -> Found:
    """Each room is asked to end, while Kafka is away."""
    await asyncio.to_thread(world.kafka.stop)
    await asyncio.sleep(6)
    took = {room: await world.end(room) for room in ("edge", "worker", "exporter")}
    await asyncio.to_thread(world.kafka.start)
    return await _ended(world, took, "SIGTERM to each room, Kafka away")


async def _ended(world: World, took: dict[str, float], told: str) -> Found:
    back = time.monotonic()
    for room in took:
        await world.until(partial(_runs, world, room), f"{room} was not started again")
    await asyncio.sleep(3)
    await world.recovered()
    held = {f"the {room} left within {LEAVE_S:.0f} s": s <= LEAVE_S for room, s in took.items()}
    figures = {f"{room}_left_s": round(seconds, 2) for room, seconds in took.items()}
    return Found(
        told, held, None, time.monotonic() - back, "asked for, not detected", figures=figures
    )


async def _runs(world: World, room: str) -> bool:
    try:
        await asyncio.to_thread(world.pid, room)
    except AssertionError:
        return False
    return room in ROOMS
