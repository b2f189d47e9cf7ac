"""Tanks seen by cameras, among the pipelines: small thermal pictures as an edge writes them."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts.frames import FrameHeaders
from contracts.headers import NO_TIME, Headers
from contracts.readings import Position
from tests.chaos.world import PERIOD_US, START_US

HEIGHT, WIDTH = 64, 48
DETECTORS = ("overfill", "eyes")


@dataclass(frozen=True)
class FrameMessage:
    """One frame; `times_us` int64 [1], as a batch of readings has them."""

    asset: str
    position: Position
    times_us: NDArray[np.int64]
    value: bytes
    headers: Headers


@dataclass
class Tank:
    """One camera's frames: the level moves, sometimes the camera is dark or silent, and sometimes
    nothing comes for a while."""

    asset: str
    r: np.random.Generator
    now: int = START_US
    newest: int = NO_TIME
    sequence: int = 0
    level: float = 0.6
    received: int = START_US

    def frame(self) -> FrameMessage:
        r = self.r
        if r.random() < 0.02:
            self.now += int(r.integers(10, 100)) * PERIOD_US
        self.level = float(np.clip(self.level + r.normal(0, 0.04), 0.1, 0.95))
        quality = str(r.choice(("good", "dark", "missing"), p=(0.94, 0.03, 0.03)))
        return self._write(quality, b"" if quality == "missing" else self._picture(quality))

    def _picture(self, quality: str) -> bytes:
        surface = round(HEIGHT * (1 - self.level))
        rows = np.full(HEIGHT, 30.0)
        rows[surface:] = 215
        rows[surface + (HEIGHT - surface) * 2 // 3 :] = 100
        if quality == "dark":
            rows[:] = 1
        picture = rows[:, None] + self.r.normal(0, 3, (HEIGHT, WIDTH))
        pixels = np.clip(picture, 0, 255).astype(np.uint8)
        return bytes(cv2.imencode(".png", pixels)[1])

    def last(self) -> FrameMessage:
        """One that closes all windows, its own too."""
        return self._write("missing", b"", ahead_us=60_000_000)

    def _write(self, quality: str, value: bytes, ahead_us: int = 1) -> FrameMessage:
        # Of its last frame, not of the time that passed without one.
        before = self.newest
        self.now += int(self.r.integers(2, 8)) * PERIOD_US
        position = Position(
            self.sequence,
            before + 1 if self.sequence else NO_TIME,
            self.now + ahead_us,
            before,
            START_US + self.sequence,
        )
        headers = FrameHeaders.model_validate(
            {
                "asset": self.asset,
                "camera": "c",
                "kind": "thermal",
                "time_us": self.now,
                "clock": "arrival",
                "width": WIDTH,
                "height": HEIGHT,
                "encoding": "png",
                "quality": quality,
                "sequence": position.sequence,
                "wm_before_us": position.wm_before_us,
                "wm_after_us": position.wm_after_us,
                "max_before_us": position.max_before_us,
                "received_us": position.received_us,
            }
        )
        self.sequence += 1
        self.newest = self.now
        times = np.array([self.now], np.int64)
        return FrameMessage(
            self.asset, position, times, value, headers.headers(source="edge/chaos")
        )


@dataclass
class Tanks:
    """Frames of several tanks in turn."""

    seed: int
    assets: list[str]
    tanks: list[Tank] = field(init=False)

    def __post_init__(self) -> None:
        self.tanks = [
            Tank(asset, np.random.default_rng([self.seed, 7, at]))
            for at, asset in enumerate(self.assets)
        ]

    def frames(self, count: int) -> list[FrameMessage]:
        """`count` frames, and the last of each tank."""
        if not self.tanks:
            return []
        made = [self.tanks[at % len(self.tanks)].frame() for at in range(count)]
        return made + [tank.last() for tank in self.tanks]
