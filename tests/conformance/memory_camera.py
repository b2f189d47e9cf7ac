"""A camera in memory: the fake for tests, and what is broken on purpose."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import SourceError
from edge.ports import CameraSource
from tests.conformance.camera_kit import SECRET, Shape

SHAPE = (24, 32)


@dataclass
class MemoryShot:
    """A frame of any pixels."""

    pixels: NDArray[Any]
    source_us: int | None = None

    def luminance(self) -> NDArray[Any]:
        return self.pixels

    def image(self, enough: tuple[int, int] | None = None) -> NDArray[Any]:
        return self.pixels


@dataclass
class MemoryCamera:
    """What a source in memory looks at. While `stuck` is set it hangs, as a frozen camera."""

    gone: bool = False
    every_s: float = 0.005
    shape: Shape = SHAPE
    count: int = 0
    refusal: SourceError | None = None
    stuck: threading.Event = field(default_factory=threading.Event)

    @property
    def lost(self) -> bool:
        """Whether a session ends."""
        return self.gone or self.refusal is not None

    def pixels(self) -> NDArray[np.uint8]:
        """The next image: noise, unlike the one before."""
        self.count += 1
        noise = np.random.default_rng(self.count).integers(60, 200, self.shape)
        return noise.astype(np.uint8)


class MemorySource:
    """A CameraSource of a MemoryCamera."""

    ends, codec = False, "raw"

    def __init__(self, camera: MemoryCamera) -> None:
        self._camera = camera

    def shots(self) -> Iterator[MemoryShot]:
        """Until it is gone."""
        camera = self._camera
        if camera.refusal is not None:
            raise camera.refusal
        if camera.gone:
            raise SourceError("it is gone")
        while not camera.lost:
            while camera.stuck.is_set():
                time.sleep(0.01)
            time.sleep(camera.every_s)
            yield MemoryShot(camera.pixels())


class Overwriting(MemorySource):
    """Broken: all frames share their pixels."""

    def shots(self) -> Iterator[MemoryShot]:
        shared: NDArray[Any] = np.zeros(SHAPE, np.uint8)
        for shot in super().shots():
            shared[:] = shot.pixels
            yield MemoryShot(shared)


class Talkative(MemorySource):
    """Broken: says the password."""

    def shots(self) -> Iterator[MemoryShot]:
        if self._camera.gone:
            raise SourceError(f"cannot open rtsp://user:{SECRET}@camera")
        yield from super().shots()


class Foreign(MemorySource):
    """Broken: lets the exceptions of its library out."""

    def shots(self) -> Iterator[MemoryShot]:
        if self._camera.gone:
            raise OSError(5, "Input/output error")
        yield from super().shots()


class Hanging(MemorySource):
    """Broken: waits for ever for what is gone."""

    def shots(self) -> Iterator[MemoryShot]:
        yield from super().shots()
        while True:
            time.sleep(0.05)


class Once(MemorySource):
    """Broken: can be opened once."""

    used = False

    def shots(self) -> Iterator[MemoryShot]:
        if self.used:
            raise SourceError("it is used up")
        self.used = True
        yield from super().shots()


class Still(MemorySource):
    """Broken: gives its first frame again and again."""

    def shots(self) -> Iterator[MemoryShot]:
        first = None
        for shot in super().shots():
            first = first or shot
            yield first


class MemoryLab:
    """The kit's laboratory for sources in memory."""

    shape: Shape = SHAPE

    def __init__(self, kind: type[MemorySource]) -> None:
        self._kind = kind
        self._camera = MemoryCamera()

    def source(self) -> CameraSource:
        return self._kind(self._camera)

    def break_off(self) -> None:
        self._camera.gone = True

    def mend(self) -> None:
        self._camera.gone = False
