"""The tank: what a thermal camera sees of a steel tank with crude, emulsion and water in it.

A small simulation, and pure: a picture follows from the events, the seed and the frame's number.
The wall is as warm as what is behind it, FACTOR times as fast as a real one would be: a second of
the demo is a minute of the tank. The sun warms one side of it, and a band below the roof more.
Times of readings are real; only the process is fast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vigia.demo.scenes import FPS

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]
WIDTH, HEIGHT = 320, 240
FACTOR = 60
"""Seconds of the tank in one second of the demo."""
SPAN = (-10.0, 90.0)
"""Degrees Celsius that the camera shows as black and as white."""
LEVEL, WATER, EMULSION = 0.62, 0.26, 0.12
"""What is normal, as shares of the height: surface, water, and the emulsion's thickness."""
_CRUDE_C, _EMULSION_C, _WATER_C, _GAS_C = 66.0, 50.0, 36.0, 17.0
_WALL_S = 50.0
_SUN_C, _DAY_S, _ROOF_C, _ROOF = 2.5, 86_400.0, 6.0, 0.05
_WAVE, _WAVE_S = 0.006, 700.0
_LENS_PX, _NOISE_C = 1.6, 0.8
_PAST = 6
Risen = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Tank:
    """`level` and `water` say by how much surface and lower interface stand above what is normal
    at a time in seconds from frame 0, as shares of the height."""

    seed: int
    level: Risen
    water: Risen

    def tops(self, at_s: float) -> tuple[float, float, float]:
        """The true heights of crude, emulsion and water, as shares of the tank's."""
        wave = _WAVE * np.sin(2 * np.pi * at_s * FACTOR / _WAVE_S + self.seed % 7)
        water = WATER + self.water(at_s) + wave
        return LEVEL + self.level(at_s) + wave, water + EMULSION, water

    def picture(self, frame: int) -> Picture:
        """Grey [HEIGHT, WIDTH] as the camera gives it."""
        wall = self._wall(frame / FPS)[:, None] + self._sun(frame / FPS)
        seen = cv2.GaussianBlur(wall, (0, 0), _LENS_PX)
        rng = np.random.default_rng((self.seed, frame % 2**32))
        low, high = SPAN
        grey = (seen + rng.normal(0, _NOISE_C, seen.shape) - low) / (high - low) * 255
        return np.asarray(np.clip(np.rint(grey), 0, 255), np.uint8)

    def _wall(self, at_s: float) -> Floats:
        """The wall's temperature [HEIGHT] from the top: it follows what is behind it late, by
        _WALL_S of the tank's time, so the last _PAST times as long count."""
        late_s = _WALL_S / FACTOR
        ago_s = np.arange(0, _PAST * late_s, 1 / FPS)
        weight = np.exp(-ago_s / late_s)
        inside = np.stack([self._inside(at_s - ago) for ago in ago_s.tolist()])
        return np.asarray(weight @ inside / weight.sum())

    def _inside(self, at_s: float) -> Floats:
        height = 1 - (np.arange(HEIGHT) + 0.5) / HEIGHT
        crude, emulsion, water = self.tops(at_s)
        under = [height < water, height < emulsion, height < crude]
        return np.select(under, [_WATER_C, _EMULSION_C, _CRUDE_C], _GAS_C)

    def _sun(self, at_s: float) -> Floats:
        """What the sun adds, [HEIGHT, WIDTH]: more to one side of the round wall, and to the band
        below the roof."""
        day = 2 * np.pi * (at_s * FACTOR / _DAY_S + self.seed % 24 / 24)
        side = np.cos(np.linspace(-1.2, 1.2, WIDTH) - 0.6)
        warmth = _SUN_C * (0.5 + 0.5 * np.sin(day)) * side
        roof = np.arange(HEIGHT) < _ROOF * HEIGHT
        return np.asarray(warmth[None, :] + _ROOF_C * roof[:, None])
