"""What a frame becomes: one row of readings of its asset, so that every rule, window and alarm
applies to it; and what a person is shown where a model saw something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.frames import FrameHeaders
from contracts.plant.cameras import BRIGHTNESS, Camera
from contracts.readings import Column, Quality, ReadingBatch

Image = NDArray[Any]
"""uint8 or uint16 [H, W] grey, or uint8 [H, W, 3] RGB."""
_QUALITY = {
    "missing": Quality.MISSING,
    "frozen": Quality.FROZEN,
    "dark": Quality.DARK,
    "over-exposed": Quality.OVER_EXPOSED,
    "blurred": Quality.BLURRED,
    "moved": Quality.MOVED,
}


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one model says of one frame: `score`, and `heat` float32 [h, w], larger where it saw
    more of it."""

    score: float
    heat: NDArray[np.float32]


class ImageModel(Protocol):
    """What scores frames for one vision detector."""

    @property
    def threshold(self) -> float:
        """The score above which a frame is abnormal."""

    @property
    def sha256(self) -> str:
        """The hash of its model.onnx."""

    def look(self, images: list[Image]) -> list[Sighting]:
        """One sighting for each image, whatever its size; RGB or grey. Raises ModelError where the
        model fails."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A row: `values` float64 [S] (NaN where nothing was measured) and `quality` uint8 [S]."""

    values: NDArray[np.float64]
    quality: NDArray[np.uint8]


class Gauge(Protocol):
    """Measures what a thermal image shows."""

    def measure(self, image: Image, camera: Camera) -> dict[str, tuple[float, Quality]]:
        """By column: the value (NaN where there is none) and what is known of it."""


def row(
    columns: tuple[Column, ...],
    image: Image,
    measured: dict[str, tuple[float, Quality]],
    sightings: dict[str, Sighting],
) -> Measured:
    """The row of a frame that could be looked at."""
    values = np.full(len(columns), np.nan)
    quality = np.full(len(columns), int(Quality.MISSING), np.uint8)
    known = {BRIGHTNESS: (brightness(image), Quality.GOOD), **measured}
    known |= {name: (one.score, Quality.GOOD) for name, one in sightings.items()}
    for at, column in enumerate(columns):
        if column.signal in known:
            values[at], quality[at] = known[column.signal]
    return Measured(values, quality)


def blind(columns: tuple[Column, ...], why: str) -> Measured:
    """The row of a frame that is not worth a look, `why` as in FrameHeaders.quality."""
    code = _QUALITY.get(why, Quality.MISSING)
    return Measured(np.full(len(columns), np.nan), np.full(len(columns), int(code), np.uint8))


def brightness(image: Image) -> float:
    """The mean grey level, 0 to 255, whatever the image's depth."""
    full = 255.0 / np.iinfo(image.dtype).max
    return float(image.mean()) * full


def reading(headers: FrameHeaders, columns: tuple[Column, ...], made: Measured) -> ReadingBatch:
    """The batch that a frame becomes. It is where the frame is, so that it is the same however
    often it is made."""
    return ReadingBatch(
        headers.asset,
        headers.position,
        columns,
        np.array([headers.time_us], np.int64),
        made.values[None, :],
        made.quality[None, :],
    )
