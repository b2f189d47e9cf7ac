"""What is told of cameras whose pictures are good, and of those that had something done to them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts.plant.cameras import Camera
from edge.core.scenes import Stillness, View, is_dark, is_over_exposed
from edge.core.sight import Sight
from tests.clips import decoded, encode_h264
from tests.grade.photos import Photo
from tests.simulation.scenery import Fault, Scenery, Weather

LEARNING_S, PATIENCE_S = 60, 60
Image = NDArray[np.uint8]
DAY: tuple[tuple[Weather, int], ...] = (
    ("day", 150),
    ("parked", 90),
    ("rain", 90),
    ("dusk", 120),
    ("night", 90),
    ("lamp", 90),
    ("day", 60),
)
FAULTS: dict[tuple[View, str], Fault] = {
    ("blurred", "1 px of 640"): Fault(blur=1),
    ("blurred", "1.5 px"): Fault(blur=1.5),
    ("blurred", "2 px"): Fault(blur=2),
    ("blurred", "4 px"): Fault(blur=4),
    ("blurred", "10 px"): Fault(blur=10),
    ("moved", "shift 0.5 %"): Fault(shift=0.005),
    ("moved", "shift 1 %"): Fault(shift=0.01),
    ("moved", "shift 2 %"): Fault(shift=0.02),
    ("moved", "shift 5 %"): Fault(shift=0.05),
    ("moved", "turn 2 deg"): Fault(turn=2),
    ("moved", "turn 5 deg"): Fault(turn=5),
    ("moved", "zoom 10 %"): Fault(zoom=1.1),
    ("moved", "elsewhere"): Fault(elsewhere=True),
    ("over-exposed", "light x4"): Fault(gain=4),
    ("over-exposed", "light x16"): Fault(gain=16),
    ("dark", "light / 50"): Fault(gain=0.02),
    ("dark", "no light"): Fault(gain=0.0),
}
GROSS = {"4 px", "10 px", "shift 2 %", "shift 5 %", "turn 5 deg", "elsewhere", "light x16"}
GROSS |= {"no light"}


WATCHED = Camera(rtsp="rtsp://camera/", watch=("moved", "blurred"))


@dataclass(slots=True)
class Watched:
    """One camera as the edge sees it, a frame a second."""

    sight: Sight = field(default_factory=lambda: Sight(WATCHED))

    def look(self, image: Image, second: int) -> View:
        """As edge.adapters.images.develop decides."""
        if is_dark(image):
            return "dark"
        if is_over_exposed(image):
            return "over-exposed"
        self.sight.show(image, second * 1_000_000)
        return self.sight.view

    @property
    def judges(self) -> set[View]:
        """What can be told of it."""
        found: set[View] = {"dark", "over-exposed"}
        if self.sight.viewpoint.first is not None:
            found.add("moved")
        if self.sight.sharpness.normal is not None:
            found.add("blurred")
        return found


@dataclass(frozen=True, slots=True)
class Trial:
    """A planted fault: whether it could be judged, what was told, after how many seconds (None:
    never what was planted)."""

    camera: str
    planted: View
    size: str
    weather: Weather
    judged: bool
    told: frozenset[View]
    after_s: int | None


@dataclass(slots=True)
class Clean:
    """A camera without fault: seconds watched, and the second and kind of each false find."""

    camera: str
    seconds: int = 0
    finds: list[tuple[int, View]] = field(default_factory=list)
    judges: set[View] = field(default_factory=set)


def learned(scenery: Scenery) -> Watched:
    """A camera that knows its normal view."""
    watched = Watched()
    for second in range(LEARNING_S):
        watched.look(scenery.frame(second), second)
    return watched


def clean(name: str, scenery: Scenery, day: tuple[tuple[Weather, int], ...] = DAY) -> Clean:
    """A day in short, with nothing wrong."""
    watched, found, second, before = learned(scenery), Clean(name), LEARNING_S, "good"
    for weather, seconds in day:
        for _ in range(seconds):
            told = watched.look(scenery.frame(second, weather), second)
            if told not in ("good", before):
                found.finds.append((second, told))
            second, before = second + 1, told
    found.seconds, found.judges = second - LEARNING_S, watched.judges
    return found


def trials(
    name: str,
    scenery: Scenery,
    weathers: tuple[Weather, ...] = ("day", "night"),
    sizes: Set[str] | None = None,
) -> Iterator[Trial]:
    """Every fault, or those of some sizes, on the same camera: by night only what can be told by
    night."""
    known = learned(scenery)
    for weather in weathers:
        for (planted, size), fault in FAULTS.items():
            if sizes is not None and size not in sizes:
                continue
            if weather == "day" or planted in ("blurred", "moved"):
                yield _trial(name, copy.deepcopy(known), scenery, weather, planted, size, fault)


def _trial(
    name: str,
    watched: Watched,
    scenery: Scenery,
    weather: Weather,
    planted: View,
    size: str,
    fault: Fault,
) -> Trial:
    told: set[View] = set()
    judged = planted in watched.judges
    for after in range(PATIENCE_S):
        second = LEARNING_S + after
        told.add(watched.look(scenery.frame(second, weather, fault), second))
        if planted in told:
            return Trial(name, planted, size, weather, judged, frozenset(told), after)
    return Trial(name, planted, size, weather, judged, frozenset(told), None)


CODINGS: dict[str, dict[str, Any]] = {
    "fine": {"crf": "23"},
    "coarse": {"crf": "32"},
    "constant, 1.5 bit a pixel and s": {"bit_rate": 1.5},
    "constant, a fifth of that": {"bit_rate": 0.3},
}
FILM_S, FILM_FPS = 20, 10
_NOISE = 1.5


def froze(scenery: Scenery, coding: str, *, frozen: bool) -> int | None:
    """After how many seconds an idle view, by a camera with a running clock, is called frozen."""
    first, still = scenery.still(_NOISE), Stillness()
    film = []
    for number in range(FILM_S * FILM_FPS):
        image = _stamped(first if frozen else scenery.still(_NOISE), number)
        image = image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2]
        film.append(np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8))
    how = dict(CODINGS[coding])
    if "bit_rate" in how:
        how["bit_rate"] = int(how["bit_rate"] * image.size)
    for number, image in enumerate(decoded(encode_h264(film, fps=FILM_FPS, gop=20, **how))):
        time_us = number * 1_000_000 // FILM_FPS
        if still.wants(time_us):
            still.show(image, time_us)
        if still.frozen:
            return number // FILM_FPS
    return None


def _stamped(image: Image, number: int) -> Image:
    found = image.copy()
    found[: len(found) // 12, -40:] = number % 255
    return found


def cameras(photos: dict[str, Photo], seed: int) -> Iterator[tuple[str, Scenery]]:
    """A camera a photo; who passes comes from the other photos."""
    names = list(photos)
    for at, name in enumerate(names):
        others = [photos[other] for other in names[at + 1 :] + names[:at]][:8]
        yield name, Scenery(photos[name], others, seed + at)
