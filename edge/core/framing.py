"""What is kept of an image: its region, its size, and how it is encoded to fit a message."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from contracts.frames import MAX_PIXELS
from edge.core.scenes import View

Encoding = Literal["jpeg", "png"]
MAX_SIDE = 20_000
"""Of an image, in pixels: what FrameHeaders can say."""
_QUALITIES = (75, 55)
_SCALES = (0.5, 0.25, 0.125)


class Attempt(NamedTuple):
    """One way to encode: JPEG `quality`, and a factor for width and height."""

    quality: int
    scale: float


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image. `reduced` says that it had to be coded worse than the plant asks."""

    value: bytes
    width: int
    height: int
    encoding: Encoding
    view: View = "good"
    reduced: bool = False


def attempts(encoding: Encoding, quality: int) -> Iterator[Attempt]:
    """What to try, one after the other, until the image is small enough. PNG has nothing to
    give up: it is as asked or not at all."""
    yield Attempt(quality, 1.0)
    if encoding == "png":
        return
    yield from (Attempt(lower, 1.0) for lower in _QUALITIES if lower < quality)
    yield from (Attempt(min(quality, _QUALITIES[0]), scale) for scale in _SCALES)


def cut(
    width: int, height: int, region: tuple[float, float, float, float] | None
) -> tuple[slice, slice]:
    """The rows and columns of a region, of one pixel at least."""
    left, top, right, bottom = region or (0.0, 0.0, 1.0, 1.0)
    return _span(top, bottom, height), _span(left, right, width)


def scaled(width: int, height: int, size: tuple[int, int] | None, scale: float) -> tuple[int, int]:
    """Width and height of the encoded image."""
    wide, high = size or (width, height)
    return max(1, round(wide * scale)), max(1, round(high * scale))


def enough(
    size: tuple[int, int] | None, region: tuple[float, float, float, float] | None
) -> tuple[int, int] | None:
    """Width and height of a whole image whose region has `size`; None where all is wanted."""
    if size is None:
        return None
    left, top, right, bottom = region or (0.0, 0.0, 1.0, 1.0)
    return math.ceil(size[0] / (right - left)), math.ceil(size[1] / (bottom - top))


def too_large(width: int, height: int) -> bool:
    """Whether an image of that size is not decoded at all."""
    return width * height > MAX_PIXELS or max(width, height) > MAX_SIDE


def _span(begin: float, end: float, size: int) -> slice:
    first = min(int(begin * size), size - 1)
    return slice(first, max(first + 1, round(end * size)))
