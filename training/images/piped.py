"""The PIPED surface images: tiles of five materials, each of a physical sample.

Tiles of one sample look alike, so whatever is split is split by sample: the number before the
last in a file's name, that of the good and of the defective tiles alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from training.images import recipe

MATERIALS = ("PA_BDP01_TL", "PA_BFT01_TL", "PA_BRG01_RL", "PA_BTN01_RL", "PA_FLR01_TL")
CREDIT = "PIPED data set, surface images of five materials with masks of their defects"
LICENCE = "CC BY 4.0 (data), Apache-2.0 (backbone and model)"

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture uint8 [height, width, 3], RGB; `mask` is where it shows a defect, nowhere for a
    good one. `part` is that of its sample."""

    name: str
    sample: int
    part: int
    pixels: Pixels
    mask: Mask

    @property
    def defective(self) -> bool:
        return bool(self.mask.any())


def load(folder: Path) -> dict[str, tuple[Tile, ...]]:
    """The tiles of each material, good ones first. Raises FileNotFoundError where `folder` does
    not hold the data set."""
    found = {}
    for material in MATERIALS:
        names = [path for path, _ in _pairs(folder, material)]
        if not names:
            raise FileNotFoundError(f"{folder}: no PIPED images of {material}")
        samples = max(_sample(path) for path in names)
        found[material] = tuple(
            _tile(path, mask, samples) for path, mask in _pairs(folder, material)
        )
    return found


def fingerprint(folder: Path) -> str:
    """The SHA-256 over the data set's pictures and masks, in order of their names."""
    digest = hashlib.sha256()
    for material in MATERIALS:
        for pair in _pairs(folder, material):
            for path in filter(None, pair):
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _pairs(folder: Path, material: str) -> Iterator[tuple[Path, Path | None]]:
    """Each picture and its mask, good ones first."""
    root = folder / "data" / material
    for path in sorted((root / "NoDefects").glob("*.bmp")):
        yield path, None
    masks = {path.name.replace("_GT_", "_D_"): path for path in root.glob("Defects/G*/*.bmp")}
    for path in sorted((root / "Defects").glob("*.bmp")):
        yield path, masks[path.name]


def _sample(path: Path) -> int:
    return int(path.stem.split("_")[-2])


def _tile(path: Path, mask: Path | None, samples: int) -> Tile:
    pixels = _squared(_read(path, cv2.IMREAD_COLOR)[:, :, ::-1])
    where = np.zeros(pixels.shape[:2], bool)
    if mask is not None:
        where = _squared(_read(mask, cv2.IMREAD_GRAYSCALE)) < 128
    sample = _sample(path)
    part = (sample - 1) * recipe.PARTS // samples
    return Tile(path.stem, sample, part, np.ascontiguousarray(pixels), where)


def _read(path: Path, mode: int) -> Pixels:
    found = cv2.imread(str(path), mode)
    if found is None:
        raise FileNotFoundError(f"{path}: cannot be read")
    return np.asarray(found, np.uint8)


def _squared(pixels: Pixels) -> Pixels:
    """One tile lacks its last column: the one before stands in for it."""
    short = [(0, side - have) for side, have in zip(recipe.SIZE, pixels.shape, strict=False)]
    return np.pad(pixels, [*short, (0, 0)][: pixels.ndim], mode="edge")
