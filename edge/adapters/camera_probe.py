"""What a camera gives, looked at for a few seconds."""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from broker.aside import aside
from contracts.errors import SourceError
from contracts.findings import Field, Finding
from contracts.plant.cameras import Camera
from edge.ports import CameraSource, Shot, Unauthorised

_LOOK_S = 2.0
_LEAST_S = 15.0
"""A camera that does not answer is noticed by then, and was asked twice."""
_PASSWORD = re.compile(r"(?i)(pass(?:word|wd)?|pwd|pw)=[^&#/\s]*")


async def probe_camera(
    asset: str, camera: Camera, source: CameraSource, wait_s: float
) -> list[Finding]:
    """What was found of the camera of an asset. One whose frames are seldom is waited for."""
    where = f"{asset} {masked(address(camera))}"
    limit_s = max(wait_s, _LEAST_S)
    found = await aside(lambda: _look(where, source), limit_s)
    return [found or Finding("camera", where, "late", {"seconds": limit_s})]


def address(camera: Camera) -> str:
    """What the plant file says of where its frames come from."""
    return camera.rtsp or camera.device or camera.video or camera.folder or ""


def masked(address: str) -> str:
    """Without what some cameras take for a password in their path."""
    return _PASSWORD.sub(r"\1=***", address)


@dataclass(slots=True)
class _Seen:
    """The frames of one session. It is enough once their rate is known."""

    begun_s: float
    first_s: float = 0.0
    last_s: float = 0.0
    frames: int = 0
    size: tuple[int, int] = (0, 0)

    def add(self, shot: Shot) -> bool:
        """Notes a frame; whether enough were seen."""
        now_s = time.monotonic()
        if not self.frames:
            self.first_s = now_s
            height, width = shot.image().shape[:2]
            self.size = (int(width), int(height))
        self.frames, self.last_s = self.frames + 1, now_s
        return self.frames > 1 and self.last_s - self.first_s >= _LOOK_S

    def finding(self, where: str, codec: str) -> Finding:
        """What they show together."""
        width, height = self.size
        first_s = round(self.first_s - self.begun_s, 2)
        fields: dict[str, Field] = {"codec": codec, "width": width, "height": height}
        fields["first"] = first_s
        if self.last_s == self.first_s:
            return Finding("camera", where, "frame", fields)
        rate = (self.frames - 1) / (self.last_s - self.first_s)
        return Finding("camera", where, "frames", {**fields, "rate": round(rate, 1)})


def _look(where: str, source: CameraSource) -> Finding:
    """Twice if need be: the first time a stream is opened without a look at its first seconds."""
    seen, why = _session(source)
    if why is not None and not seen.frames and not isinstance(why, Unauthorised):
        seen, why = _session(source)
    if seen.frames:
        return seen.finding(where, source.codec)
    return Finding("camera", where, "refused", {"why": masked(str(why or "it has no frames"))})


def _session(source: CameraSource) -> tuple[_Seen, SourceError | None]:
    seen = _Seen(time.monotonic())
    try:
        # A generator of some kind or other.
        shots: Any = source.shots()
        with closing(shots):
            for shot in shots:
                if seen.add(shot):
                    break
    except SourceError as error:
        return seen, error
    return seen, None
