"""Thermal images of crude tanks with a known truth, drawn by seed from physical quantities.

Nothing here is taken from the reader under test: temperatures are in Celsius, widths in fractions
of the image, and the tank that the reader is given follows from the scene's own temperatures, as
whoever installs the camera would set it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contracts.plant.cameras import Layer, Tank

Kind = Literal["layers", "one-layer", "noise", "saturated"]
Floats = NDArray[np.float64]
NAMES = ("crude", "emulsion", "water")
SIZES = ((240, 320), (480, 640), (512, 640), (768, 1024), (960, 1280))


@dataclass(frozen=True, slots=True)
class Scene:
    """An image [H, W], uint8 or uint16; the tank that the reader is told of; and the truth.

    `tops` are the heights (% from below) of the tops of crude, emulsion and water, the first of
    which is the level; an absent layer's top is that of the layer below it, or 0. `contrast` says
    whether the image shows more than one thing. `difficulty` is 0 (easy) to 1.
    """

    image: NDArray[Any]
    tank: Tank
    tops: tuple[float, float, float]
    temperatures: tuple[float, float, float]
    contrast: bool
    difficulty: float

    @property
    def level(self) -> float:
        """The height of the liquid's surface, % from below."""
        return self.tops[0]


@dataclass(frozen=True, slots=True)
class _Heat:
    """Temperatures in Celsius; `span` are those of grey 0 and of full grey."""

    wall: float
    roof: float
    layers: tuple[float, float, float]
    span: tuple[float, float]

    def grey(self, celsius: Any) -> Any:
        low, high = self.span
        return (celsius - low) / (high - low) * 255


def scene(seed: int, kind: Kind = "layers", difficulty: float | None = None) -> Scene:
    """A tank; the same seed gives the same one. `difficulty` is drawn where it is not given, from
    the easy third."""
    rng = np.random.default_rng(seed)
    hard = float(rng.uniform(0, 0.33)) if difficulty is None else difficulty
    size = SIZES[rng.integers(len(SIZES))]
    heat = _heat(rng, hard)
    tops, roof = _geometry(rng)
    if kind == "noise":
        shown = _pure_noise(rng, size)
    else:
        if kind == "one-layer":
            tops = _one_layer(rng)
        shown = _seen(rng, heat, size, tops, roof if kind == "layers" else None, hard)
    if kind == "saturated":
        shown = shown + 255 - np.quantile(shown, 0.05)
    image = _digitised(rng, shown)
    return Scene(image, _tank(rng, heat), tops, heat.layers, kind == "layers", hard)


def _heat(rng: np.random.Generator, hard: float) -> _Heat:
    """Layers that are warmer the higher they lie; a dry wall as cold as the air, hotter than all
    in the sun, or between them in the evening, when it has kept some of the day."""
    closer = 1 - 0.6 * hard
    ambient = rng.uniform(2, 34)
    water = ambient + rng.uniform(12, 25) * closer
    emulsion = water + rng.uniform(10, 25) * closer
    crude = emulsion + rng.uniform(10, 25) * closer
    state = rng.choice(["cold", "hot", "evening"], p=[0.6, 0.25, 0.15])
    wall = ambient + rng.uniform(-2, 3)
    if state == "hot":
        wall = crude + rng.uniform(12, 25) * closer
    elif state == "evening":
        wall = rng.uniform(water, emulsion)
    roof = wall + rng.choice([-1, 1]) * rng.uniform(2, 9)
    every = (wall, roof, crude, emulsion, water)
    span = (min(every) - rng.uniform(2, 12), max(every) + rng.uniform(4, 20))
    return _Heat(wall, roof, (crude, emulsion, water), span)


def _tank(rng: np.random.Generator, heat: _Heat) -> Tank:
    """What an installer would set: limits somewhere about midway between what should be told
    apart, the outer ones as far from the layers as a typical difference."""
    crude, emulsion, water = (float(heat.grey(one)) for one in heat.layers)
    wall = float(heat.grey(heat.wall))
    gap = (crude - water) / 2
    above = min(wall, crude + 2 * gap) if wall > crude else crude + 2 * gap
    below = max(wall, water - 2 * gap) if wall < water else water - 2 * gap
    edges = [
        low + (high - low) * rng.uniform(0.38, 0.62)
        for low, high in ((below, water), (water, emulsion), (emulsion, crude), (crude, above))
    ]
    e = [float(round(min(max(edge, 0), 255))) for edge in edges]
    layers = (
        Layer(id="crude", grey=(e[2], e[3])),
        Layer(id="emulsion", grey=(e[1], e[2])),
        Layer(id="water", grey=(e[0], e[1])),
    )
    height = float(rng.uniform(2_000, 15_000)) if rng.random() < 0.7 else None
    return Tank(layers=layers, height=height, span=heat.span)


def _geometry(
    rng: np.random.Generator,
) -> tuple[tuple[float, float, float], tuple[float, float] | None]:
    """The layers' tops, and from which to which height (%) the roof's band is seen, if it is."""
    full = rng.random() < 0.15
    level = 100.0 if full else float(rng.uniform(15, 97))
    thick = rng.dirichlet([1.5, 1.0, 1.5]) * (rng.random(3) < 0.85)
    if np.count_nonzero(thick) < (2 if full else 1):
        thick = np.array([0.5, 0.2, 0.3])
    thick = thick / thick.sum() * level
    tops = (level, float(thick[1] + thick[2]), float(thick[2]))
    roof = None
    if level < 90 and rng.random() < 0.5:
        top = float(rng.uniform(96, 100))
        roof = (top - float(rng.uniform(0.5, (top - level) / 3)), top)
    return tops, roof


def _one_layer(rng: np.random.Generator) -> tuple[float, float, float]:
    full: tuple[tuple[float, float, float], ...] = (
        (100.0, 0.0, 0.0),
        (100.0, 100.0, 0.0),
        (100.0, 100.0, 100.0),
        (0.0, 0.0, 0.0),
    )
    return full[rng.integers(len(full))]


def _seen(
    rng: np.random.Generator,
    heat: _Heat,
    size: tuple[int, int],
    tops: tuple[float, float, float],
    roof: tuple[float, float] | None,
    hard: float,
) -> Floats:
    """Grey levels [H, W] before they are digitised."""
    height, width = size
    column = _lagged(rng, _column(heat, height, tops, roof), hard)
    across = np.linspace(0, 1, width)
    if rng.random() < 0.5:
        across = across[::-1]
    sun = rng.uniform(0, 2 + 8 * hard) * across ** rng.uniform(0.7, 2.5)
    shown = heat.grey(column[:, None] + sun[None, :])
    shown = _through_lens(rng, shown, hard)
    noise = rng.uniform(0.3, 3 + 37 * hard)
    rows, columns = rng.uniform(0, 0.6, 2)
    shown += rng.normal(0, noise, shown.shape)
    shown += rng.normal(0, rows, (height, 1)) + rng.normal(0, columns, (1, width))
    return np.asarray(shown)


def _column(
    heat: _Heat,
    height: int,
    tops: tuple[float, float, float],
    roof: tuple[float, float] | None,
) -> Floats:
    """Temperature by row [H], each row the mean over its own height."""
    fine = 8
    up = 100 * (1 - (np.arange(height * fine) + 0.5) / (height * fine))
    celsius = np.full(height * fine, heat.wall)
    if roof is not None:
        celsius[(up >= roof[0]) & (up < roof[1])] = heat.roof
    for top, layer in zip(tops, heat.layers, strict=True):
        celsius[up < top] = layer
    return np.asarray(celsius.reshape(height, fine).mean(axis=1))


def _lagged(rng: np.random.Generator, column: Floats, hard: float) -> Floats:
    """The steel conducts along the wall: interfaces are seen as slopes."""
    return _blurred(column, len(column) * rng.uniform(0.001, 0.008 + 0.05 * hard))


def _through_lens(rng: np.random.Generator, shown: Floats, hard: float) -> Floats:
    """Blur, and less light towards the edges, unlike in height and width."""
    height, width = shown.shape
    wide = rng.uniform(0.3, 2.5)
    shown = np.apply_along_axis(_blurred, 0, shown[:, :: max(1, width // 64)], wide)
    shown = shown[:, np.linspace(0, shown.shape[1] - 1, width).astype(int)]
    down, across = rng.uniform(0, 0.02 + 0.12 * hard, 2)
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    return np.asarray(shown * (1 - down * y * y) * (1 - across * x * x))


def _blurred(values: Floats, wide: float) -> Floats:
    reach = max(1, int(4 * wide))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(wide, 1e-6)) ** 2)
    padded = np.pad(values, reach, mode="edge")
    return np.asarray(np.convolve(padded, weights / weights.sum(), mode="valid"))


def _pure_noise(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    if rng.random() < 0.5:
        return rng.uniform(0, 255, size)
    return rng.normal(rng.uniform(60, 200), rng.uniform(30, 80), size)


def _digitised(rng: np.random.Generator, shown: Floats) -> NDArray[Any]:
    if rng.random() < 0.5:
        return np.clip(np.rint(shown), 0, 255).astype(np.uint8)
    return np.clip(np.rint(shown * 257), 0, 65_535).astype(np.uint16)
