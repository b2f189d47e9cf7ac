"""Clips for tests: encoded by FFmpeg, decoded again, or as a folder for the RTSP server."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def encode_h264(
    images: Sequence[Image], *, fps: int, gop: int, bit_rate: int = 0, crf: str = ""
) -> bytes:
    """A Matroska file with the images as a camera's encoder would code them: at a constant bit
    rate, or else `crf`, the greater the coarser."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.gop_size, stream.bit_rate = "yuv420p", gop, bit_rate
        options: dict[str, Any] = {"preset": "veryfast", "tune": "zerolatency"}
        stream.options = options | ({"crf": crf} if crf else {})
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        container.mux(stream.encode())
    return file.getvalue()


def decoded(video: bytes) -> Iterator[NDArray[Any]]:
    """Its images, BGR."""
    with av.open(io.BytesIO(video), "r") as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="bgr24")


def moving(count: int, size: tuple[int, int] = (320, 240), *, seed: int = 0) -> Iterator[Image]:
    """A noisy scene in which a bright square moves."""
    rng = np.random.default_rng(seed)
    width, height = size
    for number in range(count):
        image = rng.integers(60, 90, (height, width, 3)).astype(np.uint8)
        left = number * 8 % (width - 40)
        image[40:80, left : left + 40] = 220
        yield image


def h264_clip(folder: Path, images: Iterable[Image], *, gop: int = 15) -> Path:
    """A folder of access units, for RtspServer."""
    return _clip(folder, images, "h264", gop)


def h265_clip(folder: Path, images: Iterable[Image], *, gop: int = 15) -> Path:
    """The same of H.265."""
    return _clip(folder, images, "h265", gop)


def _clip(folder: Path, images: Iterable[Image], coding: str, gop: int) -> Path:
    folder.mkdir(parents=True)
    coder: Any = av.CodecContext.create({"h264": "libx264", "h265": "libx265"}[coding], "w")
    coder.pix_fmt, coder.gop_size, coder.time_base = "yuv420p", gop, Fraction(1, 15)
    coder.framerate = Fraction(15)
    parameters = "repeat-headers=1:annexb=1:scenecut=0"
    coder.options = {"preset": "veryfast", "tune": "zerolatency"}
    coder.options |= {f"x{coding[1:]}-params": parameters + ":log-level=none" * (coding == "h265")}
    packets: list[Any] = []
    for number, image in enumerate(images):
        if not number:
            coder.height, coder.width = image.shape[:2]
        frame = av.VideoFrame.from_ndarray(image, "bgr24")
        frame.pts = number
        packets += coder.encode(frame)
    for number, packet in enumerate([*packets, *coder.encode(None)]):
        (folder / f"{number:04d}.{coding}").write_bytes(bytes(packet))
    return folder


def jpeg_clip(folder: Path, images: Iterable[Image]) -> Path:
    """A folder of JPEGs, for RtspServer or as a folder of images."""
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        _, data = cv2.imencode(".jpg", image)
        (folder / f"{number:04d}.jpg").write_bytes(data.tobytes())
    return folder


def damaged(clip: Path, folder: Path) -> Path:
    """The same clip with every third frame that is no key frame broken in its middle."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    for number, file in enumerate(sorted(clip.iterdir())):
        data = bytearray(file.read_bytes())
        if number % 15 and number % 3 == 0:
            middle = len(data) // 2
            data[middle : middle + 40] = rng.integers(0, 256, 40).astype(np.uint8).tobytes()
        (folder / file.name).write_bytes(bytes(data))
    return folder
