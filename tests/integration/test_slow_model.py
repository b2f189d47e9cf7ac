"""A model that takes 200 ms a frame, before a camera of 15 frames a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from contracts.frames import FrameHeaders
from contracts.headers import NO_TIME
from contracts.plant.cameras import Camera, camera_columns
from contracts.plant.model import Kafka
from contracts.record import Outgoing, Record
from stream.adapters.frame_agent import FrameAgent, Watched
from stream.adapters.lane import Lane
from stream.core.frames import Image, Sighting

FRAMES, RATE_HZ, LOOK_S = 45, 15, 0.2


@dataclass
class Camera15:
    """What has come from the camera until now."""

    delivered: int = 0


@dataclass
class Slow:
    """Takes its time, and notes how many frames had come after the one it was given."""

    camera: Camera15
    threshold: float = 1000.0
    sha256: str = "ab" * 32
    lags: list[int] = field(default_factory=list)

    def look(self, images: list[Image]) -> list[Sighting]:
        # A frame's grey level is its number.
        self.lags += [self.camera.delivered - 1 - round(float(image.mean())) for image in images]
        time.sleep(LOOK_S * len(images))
        return [Sighting(0.0, np.zeros((1, 1), np.float32)) for _ in images]


class Nowhere:
    async def send_all(self, records: Iterable[Outgoing]) -> None:
        for _ in records:
            pass


def frame(number: int) -> Record:
    image = np.full((8, 8), number, np.uint8)
    headers = FrameHeaders(
        asset="works/belt",
        camera="c",
        kind="visible",
        time_us=number * 1_000_000 // RATE_HZ,
        clock="arrival",
        width=8,
        height=8,
        encoding="png",
        sequence=number,
        max_before_us=NO_TIME,
    )
    value = bytes(cv2.imencode(".png", image)[1])
    return Record("vigia.frames", 0, number, b"works/belt", value, headers.headers(source="e"), 0)


async def test_it_looks_at_the_newest_and_the_rest_is_counted() -> None:
    camera = Camera15()
    model = Slow(camera)
    section = Camera.model_validate({"video": "x.mp4", "late": "newest"})
    watched = Watched(section, camera_columns(section, ["m"]), None, {"m": model})
    agent = FrameAgent({"works/belt": watched}, Nowhere(), Kafka(), "stream/t")
    lane = Lane("vigia.frames", agent)
    lane.assign(frozenset({0}))
    work = asyncio.create_task(lane.work())
    for number in range(FRAMES):
        camera.delivered += 1
        lane.deliver(0, [frame(number)])
        await asyncio.sleep(1 / RATE_HZ)
    async with asyncio.timeout(10):
        while lane.heads.get(0) != FRAMES:
            await asyncio.sleep(0.01)
    work.cancel()
    account = agent.accounts()["stream.frames"]
    assert max(model.lags) <= 1, model.lags
    assert account.taken_in == FRAMES
    assert account.gone_out == len(model.lags)
    assert account.dropped == {"superseded": FRAMES - len(model.lags)}
    assert account.missing == 0
