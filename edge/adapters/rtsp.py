"""Cameras over RTSP, webcams and video files: decoded by FFmpeg. PyAV stays in here."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import numpy as np
from av.codec.context import Flags
from av.container import InputContainer
from av.error import (
    ExitError,
    FFmpegError,
    HTTPClientError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
    InvalidDataError,
)
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from broker.secrets import read_secret
from contracts.errors import ConfigError, SourceError
from contracts.frames import MAX_PIXELS
from contracts.plant.cameras import Camera
from edge.core.framing import too_large
from edge.ports import Unauthorised

OPEN_S = 5.0
_READ_S = 2.0
# FFmpeg gives a read that timed out one more try: half of the time after which all is silent.
_READ_PART = 0.4
_LONGEST_PAUSE_S = 60.0
"""Between two frames of a file, whatever their times say."""
_FAST = {"probesize": "32", "analyzeduration": "0"}
_TRANSPORTS = {
    "tcp": {"rtsp_transport": "tcp"},
    # Only what the camera sends is taken from the ports that are open for it.
    "udp": {"rtsp_transport": "udp", "rtsp_flags": "filter_src"},
}
# What PyAV raises besides its own errors, on streams that are no streams.
_FAULTS = (FFmpegError, OSError, ValueError, IndexError, MemoryError)


class DecodedShot:
    """A frame of FFmpeg's, in whatever pixels its decoder gives."""

    def __init__(
        self,
        frame: av.VideoFrame,
        reformatter: VideoReformatter,
        source_us: int | None = None,
        *,
        grey: bool,
    ) -> None:
        self._frame = frame
        self._reformatter = reformatter
        self._grey = grey
        self.source_us = source_us

    def luminance(self) -> NDArray[Any]:
        """The first plane, not copied. Raises SourceError."""
        frame = self._frame
        try:
            plane = frame.planes[0]
            deep = frame.format.components[0].bits > 8
            pixels = np.frombuffer(memoryview(plane), np.uint16 if deep else np.uint8)
            lines: NDArray[Any] = pixels.reshape(-1, plane.line_size // pixels.itemsize)
        except _FAULTS as error:
            raise SourceError(f"a frame cannot be read: {_reason(error)}") from None
        return lines[: frame.height, : frame.width]

    def image(self, enough: tuple[int, int] | None = None) -> NDArray[Any]:
        """Its pixels, reduced to what is `enough`. Raises SourceError."""
        frame = self._frame
        width, height = enough or (frame.width, frame.height)
        try:
            # One thread: by itself it would start one a core for each camera. Scaling as it
            # converts takes a tenth of what converting all and scaling that would.
            return self._reformatter.reformat(
                frame,
                min(width, frame.width),
                min(height, frame.height),
                self._format(),
                interpolation=Interpolation.AREA if enough else None,
                threads=1,
            ).to_ndarray()
        except _FAULTS as error:
            raise SourceError(f"a frame cannot be converted: {_reason(error)}") from None

    def _format(self) -> str:
        found = self._frame.format.name
        if found.startswith(("gray1", "gray9")):
            return "gray16le"
        # Never the plane of luminance itself: it is in limited range.
        return "gray" if self._grey or found == "gray" else "bgr24"


class RtspSource:
    """A camera at an RTSP address, over TCP or UDP. One that hangs is noticed within 4 s, or
    0.8 `idle` where that is longer: a camera that takes a frame less often needs an `idle` to
    match.

    The stream is opened without a look at its first seconds; one that gives no frame so is
    looked at the next time.
    """

    ends = False

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._read_s = max(_READ_S, _READ_PART * camera.idle / 1e6)
        self._fast = True
        self.codec = ""

    def shots(self) -> Iterator[DecodedShot]:
        """One connection. Raises SourceError."""
        fast, self._fast = self._fast, not self._fast
        options = _TRANSPORTS[self._camera.transport] | (_FAST if fast else {})
        container = _open(self._url(), options, (OPEN_S, self._read_s))
        grey = self._camera.kind == "thermal"
        with closing(container):
            stream, reformatter = _video(container), VideoReformatter()
            self.codec = stream.codec_context.name
            for frame in _frames(container, stream):
                self._fast = fast
                taken_us = frame.opaque if isinstance(frame.opaque, int) else None
                yield DecodedShot(frame, reformatter, taken_us, grey=grey)
        raise SourceError("the camera ended the stream")

    def _url(self) -> str:
        camera = self._camera
        scheme, _, rest = (camera.rtsp or "").partition("://")
        if camera.username is None:
            return f"{scheme}://{rest}"
        try:
            password = read_secret(camera.password) if camera.password else ""
        except ConfigError as error:
            raise SourceError(str(error)) from None
        return f"{scheme}://{quote(camera.username, safe='')}:{quote(password, safe='')}@{rest}"


class DeviceSource:
    """A webcam of this machine, by Video4Linux, as it is set: size and speed are its own. FFmpeg
    waits for its frames without a limit, so one that hangs is silent until it is pulled out."""

    ends = False

    def __init__(self, camera: Camera) -> None:
        self._device = camera.device or ""
        self._grey = camera.kind == "thermal"
        self.codec = ""

    def shots(self) -> Iterator[DecodedShot]:
        """One session. Raises SourceError."""
        try:
            container = _open(self._device, {}, None, "v4l2")
        except SourceError as error:
            raise SourceError(f"{self._device}: {error}") from None
        with closing(container):
            stream, reformatter = _video(container), VideoReformatter()
            self.codec = stream.codec_context.name
            for frame in _frames(container, stream):
                yield DecodedShot(frame, reformatter, grey=self._grey)
        raise SourceError(f"{self._device}: the webcam gives no more")


class VideoSource:
    """A video file, played once at its own speed, but for pauses beyond a minute."""

    ends = True

    def __init__(
        self, camera: Camera, folder: Path, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._camera = camera
        self._file = folder / (camera.video or "")
        self._sleep = sleep
        self.codec = ""

    def shots(self) -> Iterator[DecodedShot]:
        """From the beginning. Raises SourceError."""
        if not self._file.is_file():
            raise SourceError(f"there is no video {self._file}")
        # A file may name others, as playlists do: none of them over a network.
        container = _open(str(self._file), {"protocol_whitelist": "file"}, None)
        grey = self._camera.kind == "thermal"
        begun_s, first_s = time.monotonic(), None
        with closing(container):
            stream, reformatter = _video(container), VideoReformatter()
            self.codec = stream.codec_context.name
            for frame in _frames(container, stream):
                at_s = frame.time or 0.0
                first_s = at_s if first_s is None else first_s
                early_s = begun_s + at_s - first_s - time.monotonic()
                self._sleep(min(max(0.0, early_s), _LONGEST_PAUSE_S))
                yield DecodedShot(frame, reformatter, grey=grey)


def _open(
    url: str,
    options: dict[str, str],
    timeout: tuple[float, float] | None,
    format: str | None = None,
) -> InputContainer:
    try:
        return av.open(url, "r", format=format, options=options, timeout=timeout)
    except HTTPUnauthorizedError:
        raise Unauthorised("401: the camera wants another user or password") from None
    except HTTPNotFoundError:
        raise SourceError("404: the camera has no stream at this path") from None
    except HTTPClientError as error:
        raise SourceError(f"the address answers as no camera does: {_reason(error)}") from None
    except InvalidDataError:
        raise SourceError("what answers is no video stream") from None
    except _FAULTS as error:
        raise SourceError(f"cannot be opened: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    # Never str(error): it has the address with user and password.
    if isinstance(error, ExitError):
        return "nothing came in time"
    found = error.strerror if isinstance(error, OSError) else None
    return found or type(error).__name__


def _video(container: InputContainer) -> VideoStream:
    if not container.streams.video:
        raise SourceError("there is no video in the stream")
    stream = container.streams.video[0]
    if getattr(stream, "codec_context", None) is None:
        raise SourceError("the video is of a kind that cannot be decoded")
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    # A frame has what its packet was given.
    stream.codec_context.flags |= Flags.copy_opaque
    return stream


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """The frames that can be decoded, until the end; each `opaque` is its time of capture by the
    camera's clock in microseconds, once the camera has told it (RTCP sender report)."""
    packets = container.demux(stream)
    told = False
    while True:
        try:
            packet = next(packets, None)
        except _FAULTS as error:
            raise SourceError(f"the stream was lost: {_reason(error)}") from None
        if packet is None:
            return
        taken_us = _taken_us(packet)
        # FFmpeg gives the first time that it knows to the frame before, too.
        packet.opaque, told = taken_us if told else None, taken_us is not None
        yield from _decoded(stream, packet)


def _decoded(stream: VideoStream, packet: av.Packet[Any]) -> list[av.VideoFrame]:
    try:
        frames = stream.decode(packet)
    except _FAULTS:
        # A packet that was damaged on the way. Without any frame the camera is silent.
        return []
    for frame in frames:
        if too_large(frame.width, frame.height):
            raise SourceError(f"images of {frame.width} x {frame.height} pixels are too large")
    return frames


def _taken_us(packet: av.Packet[Any]) -> int | None:
    # By the newest report: by the first one, as the container counts, a camera whose crystal is
    # 50 parts in a million off would be 4 s off after a day.
    if not packet.has_sidedata("prft"):
        return None
    (wall_clock_us,) = struct.unpack_from("=q", memoryview(packet.get_sidedata("prft")))
    return int(wall_clock_us)
