"""A camera by RTSP whose picture freezes, goes dark, glares, blurs, and is moved; and what is no
frame at all."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from broker.kafka_local import LocalKafka
from broker.loopback import free_port
from broker.producer import Producer
from broker.reader import end_offsets, read_tail
from contracts.messages import AlarmClass, Transition
from contracts.partitions import partition_of
from contracts.readings import Quality
from contracts.record import Outgoing
from tests.faults import film
from tests.faults.books import unaccounted
from tests.faults.follower import Follower
from tests.faults.meters import Meters, now_us
from tests.faults.plant import CAMERA, PARTITIONS, write_plant
from tests.faults.row import Found, Row
from tests.faults.world import Never, World
from tests.fuzz import bombs
from tests.processes.mosquitto import Mosquitto
from tests.processes.rtsp import RtspServer, rtsp_is_here

WINDOW_US, WINDOWS_LATE_S = 2_000_000, 8
WORKERS = ("worker", "second")
WITHIN = {"png-40-megapixels-of-8-bytes", "bmp-run-lengths"}
"""Bombs that are images within bounds: they take what an image may take, and are looked at."""
MOST_BYTES, MOST_RESIDENT = 900_000, 1_000_000_000
"""Of a message that Kafka takes; and of a worker, whose bound for images is 640 MB."""
NAMES = (*film.FAULTS, "poison-frames")
QUALITIES = {
    "frozen": Quality.FROZEN,
    "dark": Quality.DARK,
    "over-exposed": Quality.OVER_EXPOSED,
    "blurred": Quality.BLURRED,
    "moved": Quality.MOVED,
}


async def camera_rows(
    folder: Path, kafka: LocalKafka, mqtt: Mosquitto, wanted: set[str]
) -> list[Row]:
    """One row for each fault of a camera that is wanted."""
    names = [name for name in NAMES if name in wanted]
    if not names:
        return []
    if not rtsp_is_here():
        why = "no RTSP server: `make test` installs one as root"
        return [Row(name, Found(""), skipped=why) for name in names]
    shown, rows = film.scenes(names), []
    async with _watching(folder, kafka, mqtt, shown) as world:
        began_us = await _first_frame(world)
        for scene in shown:
            if scene.fault:
                rows.append(await _shown(world, scene, began_us))
                print(rows[-1].line(), file=sys.stderr, flush=True)
        if "poison-frames" in names:
            rows.append(await _poisoned(world))
    return rows


@asynccontextmanager
async def _watching(
    folder: Path, kafka: LocalKafka, mqtt: Mosquitto, shown: Sequence[film.Scene]
) -> AsyncIterator[World]:
    folder.mkdir()
    server = RtspServer(folder, free_port())
    clip = await asyncio.to_thread(film.write_film, folder / "film", shown)
    server.clips["yard"] = (clip, film.RATE)
    await asyncio.to_thread(server.start)
    section = {"rtsp": server.url("yard"), "rate": 2, "watch": ["moved", "blurred"]}
    prefix = f"eyes{os.getpid()}"
    plant = write_plant(folder / "line", prefix, mqtt.port, section)
    follower = Follower(kafka.bootstrap, prefix)
    meters = Meters(mqtt.port)
    world = World(kafka, mqtt, folder / "line", prefix, plant, meters, follower, sees=True)
    try:
        await world.start()
        yield world
    finally:
        await world.stop()
        server.kill()


async def _first_frame(world: World) -> int:
    await world.until(lambda: bool(world.follower.rows[CAMERA]), "no frame came")
    return min(world.follower.rows[CAMERA])


async def _shown(world: World, scene: film.Scene, began_us: int) -> Row:
    """What became of one fault of the film, some seconds after it was over."""
    follower, begin_us = world.follower, began_us + scene.begin * 1_000_000
    over_us = began_us + (scene.end + WINDOWS_LATE_S) * 1_000_000
    await asyncio.sleep(max(0.0, (over_us - now_us()) / 1e6))
    quality = QUALITIES[scene.fault]
    marks = [t for t, code in follower.marks[CAMERA] if code is quality and t >= begin_us]
    mine = [one for one in follower.alerts if begin_us <= one.at_us <= over_us]
    raised = [one for one in mine if one.transition is Transition.RAISED]
    cleared = [one for one in mine if one.transition is Transition.CLEARED]
    held = {
        "it is an alarm of class instrument": [(one.alarm_class, one.reason) for one in raised]
        == [(AlarmClass.INSTRUMENT, scene.fault)],
        "what it covers is not measured": bool(marks) and _unmeasured(world, marks),
        "it is cleared": len(cleared) == 1,
    }
    detect_s = (raised[0].at_us - begin_us) / 1e6 if raised else None
    end_us = began_us + scene.end * 1_000_000
    recover_s = (cleared[0].at_us - end_us) / 1e6 if cleared else None
    told = f"the picture of an RTSP camera is {scene.fault} for {scene.end - scene.begin} s"
    told += ", a clock runs in it" if scene.fault == "frozen" else ""
    found = Found(told, held, detect_s, recover_s, "event time; recovery: alarm cleared")
    return Row(scene.fault, found, await _books(world))


def _unmeasured(world: World, marks: list[int]) -> bool:
    windows = world.follower.windows[CAMERA, "light"]
    inside = [s for s in windows if min(marks) <= s and s + WINDOW_US <= max(marks)]
    return bool(inside) and all(windows[start] is None for start in inside)


async def _books(world: World) -> dict[str, object]:
    """Of a camera: no frame without its row, but for those on their way."""
    frames = sum((await end_offsets(world.kafka.bootstrap, f"{world.prefix}.frames")).values())
    await asyncio.sleep(1.5)
    rows = sum((await end_offsets(world.kafka.bootstrap, f"{world.prefix}.readings")).values())
    return {
        "frames": frames,
        "readings_lost": max(0, frames - rows - world.follower.letters.total()),
        "readings_doubled": world.follower.torn + world.follower.outcome.conflicts,
        "unaccounted": sum(map(abs, unaccounted(world).values())),
    }


async def _poisoned(world: World) -> Row:
    """No headers; and with the headers of a frame that was, images that claim gigabytes."""
    follower, begin_us = world.follower, now_us()
    before, pids = follower.letters.total(), [world.pid(room) for room in WORKERS]
    # What is within bounds is a picture, and behind those headers a second reading of its time.
    made = {name: content for name, content in bombs.images() if len(content) < MOST_BYTES}
    bad = [content for name, content in made.items() if name not in WITHIN]
    records = [*_headless(world), *(await _claims(world, bad))]
    producer = Producer(world.kafka.bootstrap, client_id="faults")
    await producer.start()
    since, largest = time.monotonic(), 0
    for record in records:
        await producer.send_all([record])
        largest = max([largest, *(psutil.Process(pid).memory_info().rss for pid in pids)])
    await producer.stop()
    found, error = Found(f"{len(records)} messages that are no frames, of {len(bad)} bombs"), ""
    try:
        await world.until(lambda: follower.letters.total() - before >= len(records), "no letters")
        found.detect_s = time.monotonic() - since
        await world.until(lambda: _sees(world, begin_us + 3_000_000), "no frame is looked at")
        found.recover_s = time.monotonic() - since
        found.held["the workers went on"] = [world.pid(room) for room in WORKERS] == pids
        found.held["memory stayed within bounds"] = largest < MOST_RESIDENT
        found.figures["largest_resident_mb"] = round(largest / 1e6)
    except Never as never:
        error = str(never)
    return Row("poison-frames", found, await _books(world), error)


def _headless(world: World) -> list[Outgoing]:
    topic, key = f"{world.prefix}.frames", CAMERA.encode()
    return [
        Outgoing(topic, key, value, [("ce_type", b"other")], partition)
        for value in (b"", b"no image")
        for partition in range(PARTITIONS)
    ]


async def _claims(world: World, values: list[bytes]) -> list[Outgoing]:
    """Each behind the headers of a frame that has become a row: it can change nothing."""
    topic = f"{world.prefix}.frames"
    partition = partition_of(CAMERA, PARTITIONS)
    [frame] = await read_tail(world.kafka.bootstrap, topic, partition, 1)
    key = CAMERA.encode()
    return [Outgoing(topic, key, value, list(frame.headers), partition) for value in values]


def _sees(world: World, after_us: int) -> bool:
    return any(time_us > after_us for time_us in world.follower.rows[CAMERA])
