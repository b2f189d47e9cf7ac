"""Messages that nobody can use, and bytes made to take memory or time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import psutil

from broker.producer import Producer
from contracts.errors import MessageError
from contracts.readings import ReadingDecoder
from contracts.record import Outgoing
from tests.faults.plant import PARTITIONS
from tests.faults.row import Found
from tests.faults.world import World
from tests.fuzz import bombs
from tests.fuzz.targets import headed

HUGE_BYTES, DEEP = 100_000_000, 400_000
MOST_BYTES = 950_000
"""Of a message that Kafka takes."""
MOST_GROWTH_BYTES = 200_000_000
POISON = (b"", b"not arrow", b"{}", b'{"asset": 3}', b"\xff" * 5000, b"[" * 20_000)


async def poison(world: World) -> Found:
    """On every partition of the topics that workers read."""
    before = world.follower.letters.total()
    topics = ("readings", "detections")
    records = [
        Outgoing(f"{world.prefix}.{topic}", b"x", value, [("ce_type", b"other")], partition)
        for topic in topics
        for value in POISON
        for partition in range(PARTITIONS)
    ]
    since = time.monotonic()
    await _send(world, records)
    await world.until(
        lambda: world.follower.letters.total() - before >= len(records), "no dead letters"
    )
    detect_s = time.monotonic() - since
    await world.recovered()
    held = {
        "each is a dead letter": world.follower.letters.total() - before == len(records),
    }
    told = f"{len(records)} messages that are none of ours, on {' and '.join(topics)}"
    return Found(told, held, detect_s, time.monotonic() - since)


async def untrusted(world: World) -> Found:
    """100 MB of JSON, JSON nested 400,000 deep, and Arrow batches that lie about their lengths."""
    pids = {room: await asyncio.to_thread(world.pid, room) for room in ("edge", "worker", "second")}
    small = {room: _resident(pid) for room, pid in pids.items()}
    before = world.follower.letters.total()
    since = time.monotonic()
    huge = world.meters.publish("plant/m0", b'{"t": 1, "flow": "' + b"a" * HUGE_BYTES + b'"}')
    deep = world.meters.publish("plant/m0", b"[" * DEEP)
    lies = _lies(world)
    await _send(world, lies)
    expected = len(lies) + 2
    largest = dict(small)
    while world.follower.letters.total() - before < expected and time.monotonic() - since < 60:
        for room, pid in pids.items():
            largest[room] = max(largest[room], _resident(pid))
        await asyncio.sleep(0.1)
    detect_s = time.monotonic() - since
    await world.recovered()
    growth = {room: largest[room] - small[room] for room in pids}
    now = {room: await asyncio.to_thread(world.pid, room) for room in pids}
    held = {
        "each was refused": world.follower.letters.total() - before >= expected,
        "the MQTT broker was answered": huge.is_published() and deep.is_published(),
        "no process ended": now == pids,
        "memory stayed within bounds": max(growth.values()) < MOST_GROWTH_BYTES,
    }
    figures = {f"{room}_grew_mb": round(size / 1e6) for room, size in growth.items()}
    told = f"100 MB of JSON, JSON nested {DEEP} deep, {len(lies)} Arrow batches that lie"
    return Found(told, held, detect_s, time.monotonic() - since, figures=figures)


def _lies(world: World) -> list[Outgoing]:
    """The batches of the fuzzer's worst that Kafka takes and no decoder does."""
    found = []
    for _, content in bombs.readings():
        headers, value = headed(content)
        try:
            ReadingDecoder().decode(value, headers)
        except MessageError:
            if len(content) < MOST_BYTES:
                found.append(Outgoing(f"{world.prefix}.readings", b"x", value, headers, 0))
    return found


async def _send(world: World, records: Sequence[Outgoing]) -> None:
    producer = Producer(world.kafka.bootstrap, client_id="faults")
    await producer.start()
    await producer.send_all(records)
    await producer.stop()


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
