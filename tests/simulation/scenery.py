"""What a fixed camera sees, from one real photo: light, clouds' shadows, rain, night, who passes
and what is parked; and what can be wrong with the camera. Drawn by seed; a look a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Shown = NDArray[np.float32]
Weather = Literal["day", "parked", "rain", "dusk", "night", "lamp"]
WIDTH = 800
_MARGIN = 0.1
_JITTER = 0.0004
_DUSK_S = 120


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong. `blur` in pixels of a picture 640 wide, `shift` in shares of the width,
    `turn` in degrees, `zoom` and `gain` as factors; `elsewhere`: it looks at something else."""

    blur: float = 0.0
    shift: float = 0.0
    turn: float = 0.0
    zoom: float = 1.0
    gain: float = 1.0
    elsewhere: bool = False


@dataclass(slots=True)
class _Passer:
    picture: Shown
    left: float
    top: int
    speed: float


@dataclass(slots=True)
class Scenery:
    """`photo` is uint8 [H, W] or [H, W, 3]; `others` are photos from which comes who passes, the
    last of them what is seen elsewhere."""

    photo: NDArray[np.uint8]
    others: Sequence[NDArray[np.uint8]]
    seed: int
    _rng: np.random.Generator = field(init=False)
    _views: list[Shown] = field(init=False)
    _passers: list[_Passer] = field(default_factory=list)
    _phase: float = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        wide = min(WIDTH, max(self.photo.shape[1], 224))
        day = _scaled(_grey(self.photo), wide)
        # What infrared light shows: other things are bright.
        lamp = _scaled(self.photo[..., 2] if self.photo.ndim == 3 else _grey(self.photo), wide)
        other = cv2.resize(_grey(self.others[-1]), day.shape[::-1]).astype(np.float32)
        self._views = [day, lamp, other]
        self._phase = float(self._rng.uniform(0, 2 * np.pi))

    def frame(self, at_s: float, weather: Weather = "day", fault: Fault | None = None) -> Grey:
        """The picture of a second, through a JPEG."""
        fault = fault or Fault()
        view = 2 if fault.elsewhere else 1 if weather == "lamp" else 0
        shown = self._framed(self._views[view], fault)
        shown = self._shadow(shown, at_s)
        shown = self._passed(shown, parked=weather == "parked")
        if fault.blur:
            wide = fault.blur * max(1.0, shown.shape[1] / 640)
            shown = np.asarray(cv2.GaussianBlur(shown, (0, 0), wide), np.float32)
        light, noise = self._light(at_s, weather)
        shown = shown * light * fault.gain
        if weather == "rain":
            shown = self._rain(shown)
        noisy = np.clip(shown + self._rng.normal(0, noise, shown.shape), 0, 255)
        return _coded(_with_clock(noisy.astype(np.uint8), int(at_s)))

    def still(self, noise: float) -> Grey:
        """What an idle view shows: nothing but the noise of the sensor."""
        shown = self._views[0] + self._rng.normal(0, noise, self._views[0].shape)
        return np.asarray(np.clip(shown, 0, 255), np.uint8)

    def _framed(self, view: Shown, fault: Fault) -> Shown:
        high, wide = view.shape
        size = round(wide * (1 - 2 * _MARGIN)), round(high * (1 - 2 * _MARGIN))
        shake = self._rng.normal(0, _JITTER * wide, 2)
        middle = wide / 2 + fault.shift * size[0] + shake[0], high / 2 + shake[1]
        matrix = cv2.getRotationMatrix2D(middle, fault.turn, fault.zoom)
        matrix[:, 2] += size[0] / 2 - middle[0], size[1] / 2 - middle[1]
        return np.asarray(
            cv2.warpAffine(view, matrix, size, borderMode=cv2.BORDER_REFLECT), np.float32
        )

    def _shadow(self, shown: Shown, at_s: float) -> Shown:
        wide = shown.shape[1]
        left = (at_s * wide / 300 + self._phase * 50) % (wide * 1.6) - wide * 0.3
        x = np.arange(wide)
        dark = _rise((x - left) / 6) - _rise((x - left - wide * 0.35) / 6)
        return np.asarray(shown * (1 - 0.4 * dark), np.float32)

    def _passed(self, shown: Shown, *, parked: bool) -> Shown:
        high, wide = shown.shape
        if not self._passers and (parked or self._rng.random() < 0.15):
            share = 0.5 if parked else self._rng.uniform(0.15, 0.5)
            size = max(8, int(wide * share)), max(8, int(high * min(0.95, share * 1.3)))
            drawn = _grey(self.others[int(self._rng.integers(len(self.others)))])
            top = int(self._rng.integers(0, high - size[1] + 1))
            speed = float(self._rng.uniform(0.02, 0.2)) * wide
            picture = cv2.resize(drawn, size).astype(np.float32)
            self._passers = [_Passer(picture, -float(size[0]), top, speed)]
        for one in self._passers:
            if not (parked and one.left > wide * 0.2):
                one.left += one.speed
            first, last = max(0, int(one.left)), min(wide, int(one.left) + one.picture.shape[1])
            if first < last:
                part = one.picture[:, first - int(one.left) : last - int(one.left)]
                shown[one.top : one.top + len(part), first:last] = part
        self._passers = [one for one in self._passers if one.left < wide]
        return shown

    def _light(self, at_s: float, weather: Weather) -> tuple[float, float]:
        light = 1 + 0.25 * np.sin(2 * np.pi * at_s / 173 + self._phase)
        if weather == "dusk":
            fallen = min(1.0, (at_s % _DUSK_S) / _DUSK_S)
            return float(light * (1 - 0.7 * fallen)), 2 + 2 * fallen
        return {"night": (0.3, 4.0), "lamp": (0.7, 4.0)}.get(weather, (float(light), 2.0))

    def _rain(self, shown: Shown) -> Shown:
        high, wide = shown.shape
        drops = self._rng.integers((0, 0, 8), (wide, high, 25), (wide * high // 2500, 3))
        for x, y, long in drops.tolist():
            bright = float(min(255, shown[y, x] + 60))
            cv2.line(shown, (x, y), (x + long // 5, y + long), bright, 1)
        return shown


def _rise(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -50, 50))))


def _grey(photo: NDArray[np.uint8]) -> Grey:
    return photo if photo.ndim == 2 else np.asarray(cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY))


def _scaled(grey: Grey, wide: int) -> Shown:
    high = round(grey.shape[0] * wide / grey.shape[1])
    how = cv2.INTER_AREA if wide < grey.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(grey, (wide, high), interpolation=how), np.float32)


def _with_clock(image: Grey, second: int) -> Grey:
    """What cameras write into their pictures: a name that stays, and the time."""
    size, tall = image.shape[1] / 1000, image.shape[0]
    text = f"12:{second // 60 % 60:02d}:{second % 60:02d}"
    cv2.putText(image, text, (4, round(30 * size) + 2), 0, size, 255, 1)
    cv2.putText(image, "GATE 2", (4, tall - 4), 0, size, 255, 1)
    return image


def _coded(image: Grey) -> Grey:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
