"""The belt: held-out tiles of one material that pass a camera, the good ones and now and then one
with a defect. Pure: a picture follows from the events, the seed and the frame's number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

from vigia.demo.scenes import FPS, TILE_FRAMES

Picture = NDArray[np.uint8]
SIDE = 256
"""Pixels of the square picture; a tile is as large."""
_SMALLEST_DEFECT = 24
_LIGHT, _LIGHT_FRAMES = 0.05, 60 * FPS
_NOISE = 2.0


@dataclass(frozen=True, slots=True)
class Tiles:
    """Tiles uint8 [n, SIDE, SIDE, 3] in OpenCV's order of colours."""

    good: Sequence[Picture]
    defective: Sequence[Picture]


def tiles() -> Tiles:
    """The shipped tiles; of the defective ones those whose defect is large enough for the eye."""
    folder = files("vigia.demo") / "data" / "belt"
    shown, names = [], sorted(one.name for one in (folder / "defect").iterdir())
    for name in names:
        mask = _read((folder / "mask" / name).read_bytes())
        if np.count_nonzero(mask.max(axis=2)) >= _SMALLEST_DEFECT:
            shown.append(_read((folder / "defect" / name).read_bytes()))
    good = sorted((folder / "good").iterdir(), key=lambda one: one.name)
    return Tiles(
        [_scaled(_read(one.read_bytes())) for one in good], [_scaled(one) for one in shown]
    )


@dataclass(frozen=True, slots=True)
class Belt:
    """Tiles side by side without end. Tile k comes into view at frame k * TILE_FRAMES; `defects`
    are the numbers of those with a defect. Frames before 0 are of the same belt."""

    seed: int
    tiles: Tiles

    def picture(self, frame: int, defects: frozenset[int]) -> Picture:
        """What the camera sees: a cut across the seam of two tiles."""
        number, passed = divmod(frame, TILE_FRAMES)
        # The tile that came last fills the picture from the right.
        pair = [self._tile(number - 1, defects), self._tile(number, defects)]
        at = SIDE * passed // TILE_FRAMES
        cut = np.concatenate(pair, axis=1)[:, at : at + SIDE]
        gain = 1 + _LIGHT * np.sin(2 * np.pi * frame / _LIGHT_FRAMES)
        noise = _rng(self.seed, 1, frame).normal(0, _NOISE, (SIDE, SIDE, 1))
        return np.asarray(np.clip(cut * gain + noise, 0, 255), np.uint8)

    def _tile(self, number: int, defects: frozenset[int]) -> Picture:
        some = self.tiles.defective if number in defects else self.tiles.good
        return some[int(_rng(self.seed, 0, number).integers(len(some)))]


def _rng(seed: int, what: int, number: int) -> np.random.Generator:
    return np.random.default_rng((seed, what, number % 2**32))


def _read(content: bytes) -> Picture:
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def _scaled(tile: Picture) -> Picture:
    return np.asarray(cv2.resize(tile, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
