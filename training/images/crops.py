"""Pictures as a belt shows them: cut across the seams of tiles, under other light, compressed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from training.images import recipe
from training.images.piped import Mask, Pixels, Tile


def cut(
    tiles: Sequence[Tile], defective: bool, count: int, rng: np.random.Generator
) -> tuple[Pixels, Mask]:
    """Pictures uint8 [count, height, width, 3] at random places of two tiles side by side or one
    above the other, and their masks; each shows a defect, or none does."""
    good = [tile for tile in tiles if not tile.defective]
    bad = [tile for tile in tiles if tile.defective]
    pictures: list[Pixels] = []
    masks: list[Mask] = []
    while len(pictures) < count:
        first = (bad if defective else good)[rng.integers(len(bad if defective else good))]
        second = good[rng.integers(len(good))]
        picture, mask = _cut(first, second, rng)
        if not defective or mask.sum() >= recipe.SMALLEST_DEFECT:
            pictures.append(worn(picture, rng))
            masks.append(mask)
    return np.stack(pictures), np.stack(masks)


def _cut(first: Tile, second: Tile, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    axis = int(rng.integers(2))
    pair = (first, second) if rng.integers(2) else (second, first)
    side = recipe.SIZE[1 - axis]
    where = slice(*(np.array([0, side]) + rng.integers(side + 1)))
    window = (where, slice(None)) if axis == 0 else (slice(None), where)
    picture = np.concatenate([tile.pixels for tile in pair], axis)[window]
    return picture, np.concatenate([tile.mask for tile in pair], axis)[window]


def worn(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture under up to a tenth more or less light, a little out of focus, as JPEG."""
    lit = picture * rng.uniform(0.9, 1.1)
    soft = cv2.GaussianBlur(lit, (0, 0), float(rng.uniform(0.1, 0.8)))
    return compressed(np.clip(soft, 0, 255).astype(np.uint8), int(rng.integers(60, 96)))


def compressed(picture: Pixels, quality: int) -> Pixels:
    """What is left of a picture after JPEG."""
    _, content = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1]


def belt(tiles: Sequence[Tile], frames: int, rng: np.random.Generator) -> Iterator[Pixels]:
    """Frames of good tiles that pass by without end, in random order, BELT_STEP pixels a frame,
    as JPEG of quality 90, in light that swings by a tenth once in 300 frames."""
    good = [tile for tile in tiles if not tile.defective]
    width = recipe.SIZE[0]
    strip = np.concatenate([good[rng.integers(len(good))].pixels for _ in range(2)], 1)
    at = 0
    for frame in range(frames):
        while at + width > strip.shape[1]:
            more = good[rng.integers(len(good))].pixels
            strip, at = np.concatenate([strip[:, width:], more], 1), at - width
        gain = 1.0 + 0.1 * np.sin(2 * np.pi * frame / 300)
        lit = np.clip(strip[:, at : at + width] * gain, 0, 255).astype(np.uint8)
        yield compressed(lit, 90)
        at += recipe.BELT_STEP


def cell_labels(masks: Mask) -> npt.NDArray[np.int8]:
    """For each cell of pictures [n, height, width]: 1 where it shows a defect, 0 where there is
    none in it nor beside it, -1 in between."""
    n, height, width = masks.shape
    side = recipe.CELL
    counts = masks.reshape(n, height // side, side, width // side, side).sum((2, 4))
    around = np.pad(counts > 0, ((0, 0), (1, 1), (1, 1)))
    near = np.lib.stride_tricks.sliding_window_view(around, (3, 3), (1, 2)).any((-1, -2))
    labels = np.where(near, -1, 0)
    return np.where(counts >= recipe.DEFECT_PIXELS, 1, labels).astype(np.int8)
