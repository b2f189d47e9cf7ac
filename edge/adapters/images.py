"""Images cut, scaled and encoded; and read from files. OpenCV stays in here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DecodeError, SourceError
from contracts.frames import MAX_FRAME_BYTES, MAX_PIXELS
from contracts.image_heads import read_head
from contracts.plant.cameras import Camera
from edge.core.framing import Picture, attempts, cut, scaled, too_large
from edge.core.scenes import View, unlit

# Read when OpenCV is loaded. What an image's head says is checked before; this is what is decoded.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
import cv2

MAX_FILE_BYTES = 100_000_000
_AS_IT_IS = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
_END_OF_JPEG = b"\xff\xd9"
# Each camera has threads of its own.
cv2.setNumThreads(1)
# What is wrong with an image is in our own words.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def develop(image: NDArray[Any], camera: Camera, seen: View = "good") -> Picture | None:
    """The encoded picture of what `camera` keeps of an image, of which is known what is `seen`
    over some time; None when it cannot be made small enough. Raises SourceError."""
    rows, columns = cut(image.shape[1], image.shape[0], camera.region)
    kept = np.ascontiguousarray(image[rows, columns])
    view: View = unlit(kept) or seen
    if camera.kind == "thermal" and kept.ndim == 3:
        kept = cv2.cvtColor(kept, cv2.COLOR_BGR2GRAY)
    if camera.encoding == "jpeg" and kept.dtype == np.uint16:
        kept = (kept >> 8).astype(np.uint8)
    for number, (quality, scale) in enumerate(attempts(camera.encoding, camera.quality)):
        width, height = scaled(kept.shape[1], kept.shape[0], camera.size, scale)
        value = _encoded(_resized(kept, width, height), camera.encoding, quality)
        if len(value) <= MAX_FRAME_BYTES:
            return Picture(value, width, height, camera.encoding, view, number > 0)
    return None


def read_image(file: Path) -> NDArray[Any]:
    """The pixels of an image file, 8 or 16 bits. Raises SourceError."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise SourceError(f"{file.name}: more than {MAX_FILE_BYTES} bytes")
        return decode(file.read_bytes())
    except DecodeError as error:
        raise SourceError(f"{file.name}: {error}") from None
    except OSError as error:
        raise SourceError(f"{file.name}: {error.strerror}") from None


def decode(data: bytes) -> NDArray[Any]:
    """The pixels of an encoded image. Raises DecodeError."""
    head = read_head(data)
    if too_large(head.width, head.height):
        raise DecodeError(f"{head.width} x {head.height} pixels are too many", reason="too-large")
    # The decoder would make do with half a JPEG, and paint the rest grey.
    if head.format == "jpeg" and _END_OF_JPEG not in data[len(data) // 2 :]:
        raise DecodeError("a JPEG that ends too early")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _AS_IT_IS)
    except cv2.error as error:
        raise DecodeError(f"a broken {head.format}: {error.err}") from None
    if image is None:
        raise DecodeError(f"a broken {head.format}")
    if image.dtype not in (np.uint8, np.uint16):
        raise DecodeError(f"a {head.format} of {image.dtype}, not of 8 or 16 bits")
    return image


def _resized(image: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    if (width, height) == (image.shape[1], image.shape[0]):
        return image
    smaller = width * height < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=how)


def _encoded(image: NDArray[Any], encoding: str, quality: int) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if encoding == "png":
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    try:
        done, value = cv2.imencode(".png" if encoding == "png" else ".jpg", image, options)
    except cv2.error as error:
        raise SourceError(f"an image cannot be encoded: {error.err}") from None
    if not done:
        raise SourceError("an image cannot be encoded")
    return value.tobytes()
