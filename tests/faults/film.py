"""What a camera sees: a yard that stays, noise, a clock; and what may happen to the picture."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.clips import h264_clip

RATE = 5
SIZE = (384, 288)
LEARNING_S = 70
FAULTS = {"frozen": 40, "dark": 8, "over-exposed": 8, "blurred": 24, "moved": 30}
"""How long each lasts, in seconds; before each the picture is right for so long:"""
PAUSE_S = 12
COMPARED = {"blurred", "moved"}
"""What is told against the normal view, which must be learned first."""
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """From `begin` to `end` seconds of the film, `fault` happens ("" where nothing does)."""

    fault: str
    begin: int
    end: int


def scenes(faults: Collection[str]) -> list[Scene]:
    """The film with these faults in it."""
    now = LEARNING_S if COMPARED & set(faults) else PAUSE_S
    found = [Scene("", 0, now)]
    for fault, seconds in FAULTS.items():
        if fault not in faults:
            continue
        found.append(Scene(fault, now, now + seconds))
        now += seconds
        found.append(Scene("", now, now + PAUSE_S))
        now += PAUSE_S
    return found


def write_film(folder: Path, film: Sequence[Scene]) -> Path:
    """The film as a clip for RtspServer, RATE frames a second."""
    return h264_clip(folder, frames(film), gop=RATE)


def frames(film: Sequence[Scene]) -> Iterator[Image]:
    """Every frame."""
    r, yard, number = np.random.default_rng(3), _yard(), 0
    still: Image | None = None
    for scene in film:
        for _ in range((scene.end - scene.begin) * RATE):
            image = _as_it_is(_hurt(yard, scene.fault), r)
            still = image if still is None or scene.fault != "frozen" else still
            yield _clock(still if scene.fault == "frozen" else image, number, scene.fault)
            number += 1


def _yard() -> Image:
    """Walls, pipes and signs: corners and sharp edges all over, larger than the picture."""
    r, (width, height) = np.random.default_rng(11), SIZE
    image = np.full((height + 80, width + 80, 3), 120, np.uint8)
    for _ in range(160):
        x, y = int(r.integers(0, width + 60)), int(r.integers(0, height + 60))
        right, low = x + int(r.integers(8, 60)), y + int(r.integers(8, 60))
        colour = tuple(int(one) for one in r.integers(40, 210, 3))
        cv2.rectangle(image, (x, y), (right, low), colour, -1)
    return image


def _hurt(yard: Image, fault: str) -> NDArray[np.float32]:
    width, height = SIZE
    at = 64 if fault == "moved" else 40
    view = yard[40 : 40 + height, at : at + width]
    if fault == "blurred":
        view = np.asarray(cv2.GaussianBlur(view, (0, 0), 4), np.uint8)
    light = {"dark": 0.0, "over-exposed": 8.0}.get(fault, 1.0)
    return np.asarray(view.astype(np.float32) * light)


def _as_it_is(view: NDArray[np.float32], r: np.random.Generator) -> Image:
    noise = r.normal(0, 4, view.shape[:2])[:, :, None] if view.any() else 0
    return np.asarray(np.clip(view + noise, 0, 255), np.uint8)


def _clock(image: Image, number: int, fault: str) -> Image:
    if fault in ("dark", "over-exposed"):
        return image
    shown = image.copy()
    text = f"{number // RATE // 60:02d}:{number // RATE % 60:02d}.{number % RATE}"
    cv2.rectangle(shown, (4, 4), (120, 26), (0, 0, 0), -1)
    cv2.putText(shown, text, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
    return shown
