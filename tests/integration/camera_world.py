"""A real edge process between real RTSP cameras and a real Kafka, for tests."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from broker.topics import TopicSpec, create_topics
from contracts.frames import FrameHeaders
from contracts.headers import NO_TIME, header_map
from contracts.messages import Account, SourceHealth
from contracts.topics import DEAD_LETTERS, FRAMES, READINGS, STATUS, topic_name
from tests.integration.edge_world import PARTITIONS, EdgeProcess, Log

LOGIN = {"username": "cam", "password": {"env": "CAMERA_PASSWORD"}}
PASSWORD = "p@ss/w:rd"


def camera_plant(prefix: str, **cameras: dict[str, Any]) -> str:
    """A plant of these cameras alone."""
    assets = [{"id": name, "camera": camera} for name, camera in cameras.items()]
    plant = {
        "vigia": 1,
        "kafka": {"prefix": prefix, "partitions": PARTITIONS},
        "sites": [{"id": "rig", "assets": assets}],
    }
    # Not as YAML: two cameras with one login would become an alias.
    return json.dumps(plant)


async def make_camera_topics(bootstrap: str, prefix: str) -> None:
    """The topics that an edge with cameras writes to."""
    wanted = (FRAMES, READINGS, DEAD_LETTERS, STATUS)
    specs = [TopicSpec(topic_name(t, prefix), PARTITIONS, t.config()) for t in wanted]
    await create_topics(bootstrap, specs)


@contextmanager
def watching(folder: Path, plant: str, kafka: str) -> Iterator[EdgeProcess]:
    """A running edge of a plant that needs no MQTT broker; it ends with the test."""
    process = EdgeProcess(folder, plant, kafka, mqtt_port=1)
    try:
        process.start(connected=False)
        process.wait_until(lambda: process.said("cameras, ") > 0)
        yield process
    finally:
        process.close()


class CameraLog(Log):
    """What an edge wrote of its cameras."""

    async def frames(self, camera: str | None = None) -> list[FrameHeaders]:
        """The headers of all frames, of one camera or of all, in the order of the log."""
        records = await self.records(FRAMES)
        found = []
        for record in records:
            headers = FrameHeaders.parse(header_map(record.headers))
            assert bool(record.value) == (headers.quality != "missing")
            if camera in (None, headers.camera):
                found.append(headers)
        return found

    async def images(self, camera: str) -> list[FrameHeaders]:
        """Those that have one."""
        return [one for one in await self.frames(camera) if one.quality != "missing"]

    async def until_images(self, camera: str, count: int) -> list[FrameHeaders]:
        """Waits for so many images of a camera."""

        async def enough(log: Log) -> list[FrameHeaders] | None:
            found = await self.images(camera)
            return found if len(found) >= count else None

        found: list[FrameHeaders] = await self.until(enough)
        return found

    async def until_state(self, camera: str, state: str) -> SourceHealth:
        """Waits until the newest status says so."""

        async def reached(log: Log) -> SourceHealth | None:
            status = await log.status()
            for one in status.sources if status else ():
                if one.asset == f"rig/{camera}" and one.state == state:
                    return one
            return None

        found: SourceHealth = await self.until(reached)
        return found

    async def books(self) -> Account:
        """The newest account of the frames."""
        status = await self.status()
        assert status is not None
        return status.account["edge.frames"]


def check_frame_chain(frames: list[FrameHeaders]) -> None:
    """Each asset's frames follow each other: sequence, watermark, largest time."""
    last: dict[str, FrameHeaders] = {}
    for here in frames:
        before = last.get(here.asset)
        assert here.wm_after_us == here.time_us + 1
        if before is None:
            assert (here.sequence, here.max_before_us) == (0, NO_TIME)
        else:
            assert here.sequence == before.sequence + 1
            assert here.wm_before_us == before.wm_after_us
            assert here.max_before_us == before.time_us < here.time_us
        last[here.asset] = here


class Stopwatch:
    """Says how long something took; no test asserts it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = time.monotonic()

    def stop(self) -> float:
        """Prints and returns the seconds."""
        seconds = time.monotonic() - self._begun
        print(f"measured: {self._what}: {seconds:.2f} s")
        return seconds
