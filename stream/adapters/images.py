"""Encoded images to arrays and back, by OpenCV, bounded."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DecodeError
from contracts.frames import MAX_EVIDENCE_BYTES, MAX_FRAME_BYTES, MAX_PIXELS
from contracts.image_heads import read_head
from stream.core.frames import Image

# Read when OpenCV is loaded. What an image's head says is checked before; this is what is decoded.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
import cv2

_EVIDENCE_SIDE = 480
_QUALITIES = (85, 60, 35)


def decode(value: bytes | None) -> Image:
    """The image in `value`: grey (8 or 16 bit) or RGB. Raises DecodeError."""
    if not value or len(value) > MAX_FRAME_BYTES:
        raise DecodeError(f"expected an image of at most {MAX_FRAME_BYTES} bytes", reason="image")
    head = read_head(value)
    if head.width * head.height > MAX_PIXELS:
        raise DecodeError(f"an image of {head.width}x{head.height} pixels", reason="image")
    try:
        image = cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DecodeError(f"not an image: {error.err}", reason="image") from error
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise DecodeError("not an image that can be read", reason="image")
    if image.ndim == 2:
        return image
    if image.dtype != np.uint8:
        return cv2.cvtColor(image[:, :, :3], cv2.COLOR_BGR2GRAY)
    return cv2.cvtColor(image[:, :, :3], cv2.COLOR_BGR2RGB)


def draw(image: Image, heat: NDArray[np.float32]) -> bytes:
    """A small JPEG of `image` with the hottest cells of `heat` [h, w] marked."""
    scale = min(1.0, _EVIDENCE_SIDE / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(_shown(image), size, interpolation=cv2.INTER_AREA)
    spread = float(heat.max() - heat.min())
    if spread > 0:
        warm = cv2.resize((heat - heat.min()) / spread, size, interpolation=cv2.INTER_LINEAR)
        edges, _ = cv2.findContours(
            (warm > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        cv2.drawContours(small, edges, -1, (0, 0, 255), 2)
    for quality in _QUALITIES:
        _, encoded = cv2.imencode(".jpg", small, (cv2.IMWRITE_JPEG_QUALITY, quality))
        if len(encoded) <= MAX_EVIDENCE_BYTES:
            break
    return bytes(encoded)


def _shown(image: Image) -> NDArray[np.uint8]:
    """8-bit BGR, as OpenCV draws."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    code = cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR
    return np.asarray(cv2.cvtColor(image, code), np.uint8)
