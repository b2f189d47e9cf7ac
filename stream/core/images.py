"""Pictures as an image model takes them: the same function trains and serves."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stream.core.manifest import Colour, ImageManifest

Pictures = NDArray[np.uint8]
"""uint8 [n, height, width, 3], colours in the order red, green, blue."""


def preprocess(pictures: Pictures, manifest: ImageManifest) -> NDArray[np.float32]:
    """The input float32 [n, height, width, 3] for `pictures` that have the package's size already.
    Raises ValueError for other shapes and types."""
    width, height = manifest.size
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (height, width, 3):
        raise ValueError(
            f"expected pictures uint8 [n, {height}, {width}, 3], "
            f"got {pictures.dtype} {list(pictures.shape)}"
        )
    return normalised(pictures, manifest.mean, manifest.scale)


def normalised(
    pictures: Pictures, mean: float | Colour, scale: float | Colour
) -> NDArray[np.float32]:
    """(pixel - mean) / scale, float32, for every picture and colour."""
    # Whole lines at once: along an axis of three colours numpy takes four times as long.
    n, height, width, colours = pictures.shape
    lines = pictures.reshape(n, height, -1)
    found = (lines - _line(mean, width, colours)) / _line(scale, width, colours)
    return np.asarray(found, np.float32).reshape(pictures.shape)


@lru_cache(maxsize=64)
def _line(one: float | Colour, width: int, colours: int) -> NDArray[np.float32]:
    """What belongs to each colour, for a line of pixels."""
    return np.tile(np.broadcast_to(np.array(one, np.float32), colours), width)
