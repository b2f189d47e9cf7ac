"""The real photos from which cameras' pictures are made, by source. The parameters were chosen on
the first part, which has all of which any figure was seen meanwhile; no photo is in both, and three
of the materials are in the second alone."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
Part = Literal["chosen-on", "held-out"]
SHARED = Path(__file__).parents[3] / "shared" / "data"
_BELT = Path(__file__).parents[2] / "vigia" / "demo" / "data" / "belt" / "good"
_CHOSEN_PIPED = {"PA_BFT01_TL", "PA_BDP01_TL"}
_CHOSEN_TANKS = 14
_CHOSEN_FIELDS = 6
_CHOSEN_THERMAL = 16


def photos(part: Part, each: int = 6) -> dict[str, Photo]:
    """The photos of one part, `each` of a source at most, by name."""
    found = _shipped() if part == "chosen-on" else {}
    for kind in (_surfaces, _tanks, _fields, _thermal):
        found |= kind(part, each)
    return found


def shipped() -> dict[str, Photo]:
    """Those that are here without further data: held-out tiles of the demo, two samples each
    photo."""
    return _shipped()


def _shipped() -> dict[str, Photo]:
    return {f"belt-{name}": one for name, one in _walls(sorted(_BELT.glob("*.png"))).items()}


def _surfaces(part: Part, each: int) -> dict[str, Photo]:
    found: dict[str, Photo] = {}
    for folder in sorted((SHARED / "piped" / "data").glob("*")):
        if (folder.name in _CHOSEN_PIPED) == (part == "chosen-on"):
            files = sorted(folder.glob("**/*_ND_*.bmp"))
            # Of the others every second one was seen.
            walls = list(_walls(files).items())[part == "held-out" :: 2]
            found |= {f"{folder.name}-{name}": one for name, one in walls[:each]}
    return found


def _walls(files: list[Path]) -> dict[str, Photo]:
    """Four tiles of a sample beside each other."""
    samples = defaultdict(list)
    for file in files:
        samples[file.stem.rpartition("_")[0]].append(file)
    found = {}
    for name, tiles in samples.items():
        images = [np.asarray(cv2.resize(_read(one), (128, 128))) for one in tiles[:4]]
        if len(images) == 4:
            rows = np.concatenate(images[:2], axis=1), np.concatenate(images[2:], axis=1)
            found[name] = np.asarray(np.concatenate(rows, axis=0), np.uint8)
    return found


def _tanks(part: Part, each: int) -> dict[str, Photo]:
    """Without the display that is burnt in around the picture."""
    files = sorted((SHARED / "petronor" / "images").glob("*"))
    mine = files[:_CHOSEN_TANKS] if part == "chosen-on" else files[_CHOSEN_TANKS:]
    found = {}
    for file in _spread(mine, 2 * each):
        image = _read(file)
        high, wide = image.shape[:2]
        found[f"tank-{file.stem}"] = image[high // 8 : high * 7 // 8, wide // 30 : wide * 7 // 8]
    return found


def _fields(part: Part, each: int) -> dict[str, Photo]:
    """One photo a source or day."""
    index = SHARED / "classification_crops" / "groups.csv"
    if not index.exists():
        return {}
    first: dict[str, str] = {}
    for row in csv.DictReader(index.open()):
        first.setdefault(row["group"], row["file"])
    groups = sorted(first)
    held = groups[1::2][_CHOSEN_FIELDS:]
    mine = [one for one in groups if one not in held] if part == "chosen-on" else held
    return {f"field-{one}": _read(index.parent / first[one]) for one in mine[:each]}


def _thermal(part: Part, each: int) -> dict[str, Photo]:
    """Other things in infrared, in the colours and with the display of many makes."""
    files = sorted((SHARED / "radiometric").glob("**/*.jpg"))
    mine = files[:_CHOSEN_THERMAL] if part == "chosen-on" else files[_CHOSEN_THERMAL:]
    return {f"thermal-{file.stem}": _read(file) for file in _spread(mine, 2 * each)}


def _spread(files: list[Path], count: int) -> list[Path]:
    """`count` of them at most, from all over."""
    return files[:: max(1, len(files) // count)][:count] if files else []


def _read(file: Path) -> Photo:
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{file}: no image")
    return np.asarray(image, np.uint8)
