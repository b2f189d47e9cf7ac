"""Reads a thermal image of a tank: the level of the surface, its layers, their temperatures, and
how far that may be relied on.

Grey is temperature, on one scale for all images of a camera: 0 to 255 of 8 bits and 0 to 65,535 of
16 bits are `Tank.span`, linearly. An image is never stretched to its own darkest and brightest
pixel, since that would move the layers' ranges.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from contracts.plant.cameras import LEVEL_MM, Camera, Tank, camera_columns
from contracts.readings import Quality
from stream.core.layers import inverted, most_edges, split
from stream.core.parts import Part, mean, parts, reliability, saturation
from stream.core.profile import SMALLEST, Edge, Floats, Image, full_scale, profile

Codes = NDArray[np.uint8]
_MAJORITY = 0.5


@dataclass(frozen=True, slots=True)
class Interface:
    """Where one thing ends and the next begins: `above` and `below` are ids of layers, `above` is
    "" for the surface. `row` in px from the top of the image, `height` in % and `height_mm` in mm
    from below (NaN where the tank's height is not known)."""

    above: str
    below: str
    row: float
    height: float
    height_mm: float


@dataclass(frozen=True, slots=True)
class LayerReading:
    """`share` of the height in %, `top` in % from below, and the mean `temperature`. A layer that
    is not there has share 0, the top of what is below it, and a temperature of NaN. All are NaN
    where the image does not show them."""

    id: str
    share: float
    top: float
    temperature: float


@dataclass(frozen=True, slots=True)
class TankReading:
    """What an image of a tank shows.

    `reason` is "" where it shows the content, else why it does not: "small" (of fewer than 32 rows
    or columns), "saturation", "noise" (most pixels are not in the range of what their row looks
    like), "one-layer" (nothing changes from top to bottom), "no-layer" (all is outside of the
    layers' ranges). `reasons` are what makes the reliability low. `brightness` is the mean grey
    level (0 to 255), `level` in % and `level_mm` in mm from below; `reliability` is 0 to 100.
    """

    brightness: float
    level: float
    level_mm: float
    reliability: float
    layers: tuple[LayerReading, ...]
    interfaces: tuple[Interface, ...] = ()
    reason: str = ""
    reasons: tuple[str, ...] = ()


def analyse(image: Image, tank: Tank) -> TankReading:
    """Reads `image`, grey, uint8 or uint16 [H, W]. The surface is at the top of the topmost layer,
    or at 100 % where the whole height is filled. Raises ValueError for another type or shape."""
    full_scale(image)
    if min(image.shape) < SMALLEST:
        brightness = float(image.mean()) * 255 / full_scale(image) if image.size else nan
        return _unseen(brightness, tank, "small")
    seen = profile(image)
    edges = _steepest(seen.edges, most_edges(len(tank.layers)))
    at = (0.0, *(edge.row for edge in edges), float(len(image)))
    cuts = np.rint(at).astype(np.intp)
    best = split(seen.rows, cuts, tank.layers, inverted(edges, tank.layers))
    read = parts(image, seen.rows, at, best.ends, tank.layers)
    brightness = float(seen.rows.mean())
    if reason := _why_not(read):
        return _unseen(brightness, tank, reason)
    surface = read[0].stop if read[0].index < 0 else 0.0
    trust = reliability(image, seen.rows, read, edges, best.doubt)
    level = _height(surface, len(image))
    return TankReading(
        brightness,
        level,
        _mm(level, tank),
        trust.total,
        _layers(read, tank, len(image)),
        _interfaces(read, tank, len(image)),
        reasons=trust.reasons,
    )


def values(reading: TankReading, camera: Camera) -> tuple[Floats, Codes]:
    """The row of `camera_columns(camera, [])`: float64 [S] and its quality codes uint8 [S]. What
    the image does not show is NaN and NOT_OBSERVABLE; mm without a height are NaN and MISSING.
    The reliability of what is not shown is 0."""
    row = [reading.brightness, reading.level, reading.level_mm, reading.reliability]
    for layer in reading.layers:
        row += [layer.share, layer.top, layer.temperature]
    found = np.array(row, np.float64)
    quality = np.where(np.isnan(found), Quality.NOT_OBSERVABLE, Quality.GOOD).astype(np.uint8)
    if camera.tank.height is None:
        names = [column.signal for column in camera_columns(camera, [])]
        quality[names.index(LEVEL_MM)] = Quality.MISSING
    return found, quality


def _steepest(edges: tuple[Edge, ...], most: int) -> tuple[Edge, ...]:
    kept = sorted(edges, key=lambda edge: -abs(edge.slope))[:most]
    return tuple(sorted(kept, key=lambda edge: edge.row))


def _why_not(read: tuple[Part, ...]) -> str:
    """Why the content cannot be read, or ""."""
    if saturation(read) > _MAJORITY:
        return "saturation"
    if mean([part.fitting for part in read], read) < _MAJORITY:
        return "noise"
    if all(part.index < 0 for part in read):
        return "no-layer"
    return "one-layer" if len(read) == 1 else ""


def _unseen(brightness: float, tank: Tank, reason: str) -> TankReading:
    layers = tuple(LayerReading(layer.id, nan, nan, nan) for layer in tank.layers)
    return TankReading(brightness, nan, nan, 0.0, layers, reason=reason)


def _height(row: float, rows: int) -> float:
    """% from below of a row in px from the top."""
    return 100 * (1 - row / rows)


def _mm(height: float, tank: Tank) -> float:
    return nan if tank.height is None else height / 100 * tank.height


def _layers(read: tuple[Part, ...], tank: Tank, rows: int) -> tuple[LayerReading, ...]:
    """From the bottom up, so that what is absent is known to lie on what is below it."""
    found, top = [], 0.0
    known = {part.index: part for part in read}
    for index, layer in reversed(list(enumerate(tank.layers))):
        share, temperature = 0.0, nan
        if (part := known.get(index)) is not None:
            top, share = _height(part.start, rows), 100 * part.rows / rows
            if part.saturated <= _MAJORITY:
                low, high = tank.span
                temperature = low + part.grey / 255 * (high - low)
        found.append(LayerReading(layer.id, share, top, temperature))
    return tuple(reversed(found))


def _interfaces(read: tuple[Part, ...], tank: Tank, rows: int) -> tuple[Interface, ...]:
    names = [tank.layers[part.index].id if part.index >= 0 else "" for part in read]
    heights = [_height(part.start, rows) for part in read]
    return tuple(
        Interface(above, below, part.start, height, _mm(height, tank))
        for (above, below), part, height in zip(
            itertools.pairwise(names), read[1:], heights[1:], strict=True
        )
    )
