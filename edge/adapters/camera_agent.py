"""The cameras at work: their frames on an event loop, on the way to the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from broker.status import Figures, Latency
from contracts.errors import MessageTooLarge
from contracts.plant.cameras import Camera
from edge.adapters.agent import now_us, steady_us
from edge.adapters.camera_eye import CameraEye, Develop
from edge.adapters.sight_files import SightFiles
from edge.core.backlog import Backlog
from edge.core.batches import Place
from edge.core.camera_station import CameraStation, books
from edge.core.frame_chain import FrameParcel
from edge.core.pulse import Pulse
from edge.ports import CameraSource, FrameLog

TICK_S = 0.25
_KAFKA_LATE_US = 4_000_000
_log = logging.getLogger(__name__)
SourceOf = Callable[[Camera], CameraSource]


def sources_in(folder: Path) -> tuple[SourceOf, Develop]:
    """What makes the sources of cameras, whose files are named from `folder` on, and what makes
    pictures of their images."""
    # A plant without cameras needs neither library.
    from edge.adapters.image_folder import FolderSource
    from edge.adapters.images import develop
    from edge.adapters.rtsp import DeviceSource, RtspSource, VideoSource

    def source(camera: Camera) -> CameraSource:
        if camera.rtsp is not None:
            return RtspSource(camera)
        if camera.device is not None:
            return DeviceSource(camera)
        if camera.video is not None:
            return VideoSource(camera, folder)
        return FolderSource(camera, folder)

    return source, develop


class CameraAgent:
    """Carries the frames of `cameras` to `log`, each camera for itself."""

    def __init__(
        self,
        cameras: dict[str, Camera],
        places: dict[str, Place],
        log: FrameLog,
        source_of: SourceOf,
        develop: Develop,
        backlog: Backlog,
        files: SightFiles,
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._log = log
        self._backlog = backlog
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._sent_us: dict[str, int] = {}
        self._latency = Latency()
        self._draining = False
        self._lanes = {}
        for asset, camera in cameras.items():
            station = CameraStation(asset, camera, places.get(asset), clock())
            wake = asyncio.Event()
            source, waker = source_of(camera), self._waker(wake)
            eye = CameraEye(camera, source, station, develop, waker, files, clock=clock)
            self._lanes[asset] = (eye, wake)

    async def run(self) -> None:
        """Works until cancelled. Raises BrokerError when Kafka will never take a frame."""
        try:
            async with asyncio.TaskGroup() as group:
                for asset in self._lanes:
                    group.create_task(self._carry(asset))
                group.create_task(self._tick())
        finally:
            for eye, _ in self._lanes.values():
                eye.stop()

    async def drain(self, patience_s: float) -> None:
        """Takes no further frames; those that were taken are written, `patience_s` at most."""
        self._draining = True
        for eye, _ in self._lanes.values():
            eye.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while not all(self._look(eye) for eye, _ in self._lanes.values()):
                    await asyncio.sleep(0.01)

    @property
    def pressed(self) -> bool:
        """Whether the disk should take what Kafka does not, before frames are dropped."""
        return any(eye.station.crowded for eye, _ in self._lanes.values())

    def figures(self) -> Figures:
        """What the status says."""
        eyes = [eye for eye, _ in self._lanes.values()]
        with contextlib.ExitStack() as locks:
            for eye in eyes:
                locks.enter_context(eye.lock)
            stations = [eye.station for eye in eyes]
            return Figures(
                account=books(stations, self._backlog),
                sources=tuple(station.health() for station in stations),
                latencies={"edge.frame-to-kafka": self._latency.histogram()},
                notes=tuple(note for station in stations for note in station.notes()),
            )

    def _look(self, eye: CameraEye) -> bool:
        with eye.lock:
            return eye.station.idle

    def _waker(self, wake: asyncio.Event) -> Callable[[], None]:
        def call() -> None:
            # The loop may have ended while an image was encoded.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(wake.set)

        return call

    async def _carry(self, asset: str) -> None:
        """Writes what one camera has, one message at a time."""
        eye, wake = self._lanes[asset]
        while True:
            await wake.wait()
            wake.clear()
            with eye.lock:
                parcel = eye.station.under_way or eye.station.take()
            while parcel is not None:
                await self._write(eye, parcel)
                with eye.lock:
                    parcel = eye.station.take()

    async def _write(self, eye: CameraEye, parcel: FrameParcel) -> None:
        asset = parcel.headers.asset
        self._sent_us[asset] = self._clock()
        try:
            kept = await self._log.write(parcel)
        except MessageTooLarge as error:
            with eye.lock:
                eye.station.refused(str(error), self._clock())
        else:
            with eye.lock:
                eye.station.written(kept=kept)
            if kept:
                self._backlog.took(parcel.frames)
            elif parcel.frames:
                self._latency.observe((self._clock() - parcel.headers.received_us) / 1e6)
        del self._sent_us[asset]

    async def _tick(self) -> None:
        pulse = Pulse(round(TICK_S * 1e6), self._clock(), steady_us())
        while True:
            now = self._clock()
            beat = pulse.look(now, steady_us())
            oldest_us = min(self._sent_us.values(), default=now)
            attentive = now - oldest_us < _KAFKA_LATE_US and not (self._draining or beat.missed)
            for eye, wake in self._lanes.values():
                eye.attend()
                with eye.lock:
                    if beat.stepped_us:
                        eye.station.step(beat.stepped_us)
                    if eye.station.tick(now, attentive=attentive) is not None:
                        wake.set()
                    lines = eye.station.look(now)
                _say(lines)
            await asyncio.sleep(TICK_S)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        _log.info("%s", line)
