"""The row profile of a grey image: what changes from top to bottom, and where.

An interface of a tank's content is level: it crosses the whole image. So the image is cut into
vertical strips, each with a profile of its own, and an edge is one that the strips agree on. That
needs no model of the noise: noise, be it fine or coarse, differs from strip to strip.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]
Image = NDArray[Any]

STRIPS = 16
MOST_EDGES = 12
SMALLEST = 32
"""Rows and columns below which an image is not read."""
_SMOOTHING = 0.01
"""Standard deviation of the vertical Gaussian, as a share of the rows: what can be told apart."""
_AGREEMENT = 6.0
"""Student's t of 16 strips that noise alone exceeds at one row in 40,000."""
_LEAST_STEP = 2.0
"""Grey levels (of 255) below which a step is the camera's own pattern."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A level edge. `row` is where one thing ends and the next begins, in px from the top;
    `slope` is the profile's there, in grey levels a px, negative where it gets colder."""

    row: float
    slope: float


@dataclass(frozen=True, slots=True)
class Profile:
    """`rows` float64 [H] are mean grey levels, 0 to 255; `edges` the steepest ones, at most
    MOST_EDGES, from top to bottom."""

    rows: Floats
    edges: tuple[Edge, ...]


def full_scale(image: Image) -> int:
    """The value of the brightest grey, by the image's type alone. Raises ValueError unless the
    image is uint8 or uint16 [H, W]."""
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"expected uint8 or uint16 [H, W], got {image.dtype} {image.shape}")
    return int(np.iinfo(image.dtype).max)


def profile(image: Image) -> Profile:
    """The profile of `image`, uint8 or uint16 [H, W] of at least SMALLEST rows and columns.

    Row mean and vertical Gaussian commute, so the image itself is never blurred.
    """
    strips = _strips(image) * (255 / full_scale(image))
    rows = strips.mean(axis=1)
    wide = smoothing(len(rows))
    reach = int(np.ceil(2 * wide))
    slope = np.gradient(_smoothed(rows, wide))
    found = _peaks(np.abs(slope), reach)
    at = _vertices(slope, found)
    kept = np.flatnonzero(_agreed(strips, np.rint(at).astype(np.intp), reach))
    steep = -np.abs(slope[found[kept]])
    kept = np.sort(kept[np.argsort(steep, kind="stable")[:MOST_EDGES]])
    edges = tuple(Edge(float(at[one]), float(slope[found[one]])) for one in kept)
    return Profile(rows, edges)


def smoothing(rows: int) -> float:
    """The standard deviation of the vertical Gaussian, in px, for an image of so many rows."""
    return max(1.0, _SMOOTHING * rows)


def _strips(image: Image) -> Floats:
    """Means float64 [H, STRIPS]; columns that fill no strip are left out on the right."""
    height, width = image.shape
    each = width // STRIPS
    # A matrix product is three times as fast as a sum over a short axis.
    cut = np.ascontiguousarray(image[:, : each * STRIPS], np.float32).reshape(-1, each)
    means = cut @ np.full(each, 1 / each, np.float32)
    return means.reshape(height, STRIPS).astype(np.float64)


def _smoothed(values: Floats, wide: float) -> Floats:
    weights = _gaussian(wide)
    return np.convolve(np.pad(values, len(weights) // 2, mode="edge"), weights, mode="valid")


@lru_cache(maxsize=64)
def _gaussian(wide: float) -> Floats:
    reach = int(np.ceil(4 * wide))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / wide) ** 2)
    return np.asarray(weights / weights.sum())


def _peaks(steep: Floats, reach: int) -> Rows:
    """Rows that are the steepest of all within `reach` rows; of two that are equal, the upper."""
    padded = np.pad(steep, reach, constant_values=-1.0)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    found = steep == around
    found[1:] &= steep[1:] > steep[:-1]
    found[[0, -1]] = False
    return np.flatnonzero(found)


def _vertices(slope: Floats, found: Rows) -> Floats:
    """Where the slope is steepest, in px from the top edge of row 0: the vertices of parabolas
    through three rows each."""
    before, at, after = np.abs(slope[found + np.array([[-1], [0], [1]])])
    bend = before - 2 * at + after
    shift = 0.5 * (before - after) / np.where(bend < 0, bend, np.inf)
    return np.asarray(found + 0.5 + np.clip(shift, -0.5, 0.5))


def _agreed(strips: Floats, cuts: Rows, reach: int) -> Bools:
    """bool [n]: where the strips agree on a step that is more than the slope around it, so that
    neither noise nor light that fades towards the image's edge is an interface.

    Student's t of the strips' steps: |mean| / (standard deviation / sqrt(strips)).
    """
    height, count = strips.shape
    total = np.zeros((height + 1, count))
    np.cumsum(strips, axis=0, out=total[1:])
    ends = np.clip(cuts + reach * np.arange(-2, 3)[:, None], 0, height)
    rows = np.diff(ends, axis=0)[:, :, None]
    sums = np.diff(total[ends], axis=0)
    over, above, below, under = sums / np.maximum(rows, 1)
    # Beside the image's edge there is no slope to take off.
    slope = (np.where(rows[0], above - over, 0) + np.where(rows[3], under - below, 0)) / 2
    step = below - above - slope
    mean = np.abs(step.mean(axis=1))
    spread = step.std(axis=1, ddof=1) / np.sqrt(count)
    return np.asarray((mean >= _LEAST_STEP) & (mean >= _AGREEMENT * spread))
