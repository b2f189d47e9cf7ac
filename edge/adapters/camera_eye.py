"""A camera at work in its threads: one drains the stream, the other encodes what is kept."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from contracts.errors import SourceError
from contracts.plant.cameras import Camera
from edge.adapters.agent import now_us
from edge.adapters.sight_files import SightFiles
from edge.core.camera_health import Loss
from edge.core.camera_station import CameraStation
from edge.core.framing import Picture, enough
from edge.core.scenes import Stillness, View
from edge.core.sight import Sight
from edge.ports import CameraSource, Shot, Unauthorised

RETRY_S = (0.2, 2.0)
REFUSED_S = 20.0
"""Many cameras lock out who tries a wrong password again and again."""
TOO_LARGE, SPOILT = "too-large", "undecodable"
Develop = Callable[..., Picture | None]


class CameraEye:
    """Runs `source` for ever into `station`, which must be used under `lock` alone. `develop`
    makes the picture of an image (image, camera, view); `on_picture` is called in a thread. What
    is normal for the camera is kept in `files`.

    Both threads are daemons: whatever they hang in, they hold up nobody, nor the end of the
    process.
    """

    def __init__(
        self,
        camera: Camera,
        source: CameraSource,
        station: CameraStation,
        develop: Develop,
        on_picture: Callable[[], None],
        files: SightFiles,
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._camera = camera
        self._source = source
        self.station = station
        self._develop = develop
        self._on_picture = on_picture
        self._clock = clock
        self.lock = threading.Lock()
        self._there = threading.Condition(self.lock)
        self._stopped = threading.Event()
        self._shot: Shot | None = None
        self._still = Stillness()
        self._files = files
        self._sight = Sight.recalled(camera, files.load(station.asset))
        self._enough = enough(camera.size, camera.region)
        self._draining: threading.Thread | None = None
        self._encoding: threading.Thread | None = None

    def attend(self) -> None:
        """Starts the threads; called again, those that an unforeseen error has ended."""
        if self._stopped.is_set():
            return
        self._draining = _alive(self._draining, self._drain, f"camera {self.station.asset}")
        self._encoding = _alive(self._encoding, self._encode, f"encode {self.station.asset}")

    def stop(self) -> None:
        """No further frame is taken. Returns at once."""
        self._stopped.set()
        with self.lock:
            self._there.notify_all()

    def _drain(self) -> None:
        retry_s = RETRY_S[0]
        while not self._stopped.is_set():
            before = self.station.frames
            try:
                self._session()
                if self._source.ends:
                    self._say("played to its end")
                    self._stopped.wait()
                    return
                self._lost(SourceError("the stream ended"))
            except Unauthorised as error:
                self._lost(error)
                self._stopped.wait(REFUSED_S)
            except SourceError as error:
                self._lost(error)
            if self.station.frames > before:
                retry_s = RETRY_S[0]
            # Spread: cameras that one switch took away come back at the same moment.
            self._stopped.wait(retry_s * random.uniform(0.5, 1.0))
            retry_s = min(2 * retry_s, RETRY_S[1])

    def _session(self) -> None:
        # Of another session, its first frame follows none.
        self._still = Stillness()
        shots: Any = self._source.shots()
        with closing(shots):
            for shot in shots:
                if self._stopped.is_set():
                    return
                self._take(shot)

    def _take(self, shot: Shot) -> None:
        arrival_us = self._clock()
        if self._still.wants(arrival_us):
            # One that cannot be read will be said by whoever encodes it.
            with suppress(SourceError):
                self._still.show(shot.luminance(), arrival_us)
        with self.lock:
            if self.station.offer(shot.source_us, arrival_us):
                self._shot = shot
                self._there.notify_all()

    def _encode(self) -> None:
        while (shot := self._next()) is not None:
            picture, reason, why = None, TOO_LARGE, "an image does not fit a message: dropped"
            try:
                seen = self._seen(shot)
                picture = self._develop(shot.image(self._enough), self._camera, seen)
            except SourceError as error:
                reason, why = SPOILT, str(error)
            with self.lock:
                if picture is None:
                    self.station.spoilt(reason, why, self._clock())
                else:
                    self.station.developed(picture, self._clock())
            if picture is not None:
                self._on_picture()

    def _seen(self, shot: Shot) -> View:
        """Raises SourceError."""
        now_us = self._clock()
        if self._sight.wants(now_us):
            self._sight.show(shot.luminance(), now_us)
            with self.lock:
                self.station.sees(self._sight.unseen(now_us), now_us)
            if (memory := self._sight.memory(now_us)) is not None:
                self._files.save(self.station.asset, memory)
        return "frozen" if self._still.frozen else self._sight.view

    def _next(self) -> Shot | None:
        with self.lock:
            while self._shot is None:
                if self._stopped.is_set():
                    return None
                self._there.wait()
            shot, self._shot = self._shot, None
            self.station.taken()
            return shot

    def _lost(self, error: SourceError) -> None:
        with self.lock:
            loss: Loss = "unauthorised" if isinstance(error, Unauthorised) else "lost"
            self.station.lost(loss, str(error), self._clock())

    def _say(self, text: str) -> None:
        with self.lock:
            self.station.say(text, self._clock())


def _alive(
    thread: threading.Thread | None, work: Callable[[], None], name: str
) -> threading.Thread:
    if thread is not None and thread.is_alive():
        return thread
    made = threading.Thread(target=work, name=name, daemon=True)
    made.start()
    return made
