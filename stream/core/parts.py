"""What an image's rows are read as, measured by the pixel; and how far that may be relied on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, pi, prod, sqrt

import numpy as np

from contracts.plant.cameras import Layer
from stream.core.profile import STRIPS, Edge, Floats, Image, full_scale, smoothing

_WIDE = 0.1
"""Being uncertain by this share of the height halves what depends on it."""
_SAMPLED = 64
"""Rows, evenly spaced, from which the pixels' noise is taken."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows from `start` to `stop` (px) that are read as layer `index`, or as none (-1); the share
    of their pixels that fit, and that are at an end of the scale (where no layer is only at the
    bright one: a wall may well be colder than the scale), and their mean grey level."""

    index: int
    start: float
    stop: float
    fitting: float
    saturated: float
    grey: float

    @property
    def rows(self) -> float:
        return self.stop - self.start


def parts(
    image: Image, rows: Floats, at: Sequence[float], ends: Sequence[int], layers: tuple[Layer, ...]
) -> tuple[Part, ...]:
    """What has a height, from the top down. `image` is uint8 or uint16 [H, W], `rows` float64 [H]
    its row means in grey levels (0 to 255); layer i is from `at[ends[i]]` to `at[ends[i + 1]]`,
    in px from the top, and no layer is above the first one."""
    first = next((i for i in range(len(layers)) if ends[i + 1] > ends[i]), len(layers) - 1)
    found = []
    for index, (start, stop) in enumerate(itertools.pairwise((0, *ends)), start=-1):
        if stop > start:
            cut = slice(round(at[start]), round(at[stop]))
            if index < 0:
                fitting = 1 - sum(_share(image[cut], one) for one in layers[: first + 1])
            else:
                fitting = _share(image[cut], layers[index])
            saturated = _saturated(image[cut], dark=index >= 0)
            grey = float(rows[cut].mean())
            found.append(Part(index, at[start], at[stop], fitting, saturated, grey))
    return tuple(found)


def _share(image: Image, layer: Layer) -> float:
    """The share of pixels in the layer's range, by the rule of stream.core.layers.inside."""
    full = full_scale(image)
    low, high = (ceil(grey * full / 255) for grey in layer.grey)
    last = full if layer.grey[1] >= 255 else high - 1
    if last < low:
        return 0.0
    # Unsigned, so that what is below the range is far above it: one comparison for two.
    number = image.dtype.type
    return np.count_nonzero((image - number(low)) <= number(last - low)) / image.size


def _saturated(image: Image, *, dark: bool) -> float:
    ends = np.count_nonzero(image == full_scale(image))
    if dark:
        ends += np.count_nonzero(image == 0)
    return ends / image.size


@dataclass(frozen=True, slots=True)
class Reliability:
    """What the reliability is made of, each from 0 (none) to 1.

    `contrast`: the smallest step at an interface, against what the layers leave unexplained of
    the row profile; `noise`: that step against the pixels' standard deviation; `coherence`: how
    many pixels are in the range of what they are read as, beyond one half; `saturation`: how many
    pixels of the content are not at the end of the scale; `sharpness`: how short the longest
    slope is; `explained`: how weak the steepest edge in the content is that is no interface,
    against the weakest interface; `margin`: by how few rows another reading that is as likely
    would differ.
    """

    contrast: float
    noise: float
    coherence: float
    saturation: float
    sharpness: float
    explained: float
    margin: float

    @property
    def total(self) -> float:
        """0 to 100: the geometric mean of all, times the weakest one, so that no good ones
        hide a bad one."""
        parts = self._parts().values()
        return 100 * sqrt(min(parts) * prod(parts) ** (1 / len(parts)))

    @property
    def reasons(self) -> tuple[str, ...]:
        """The names of what is below one half, the weakest first."""
        parts = self._parts()
        return tuple(name for name in sorted(parts, key=parts.__getitem__) if parts[name] < 0.5)

    def _parts(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in Reliability.__slots__}


def reliability(
    image: Image, rows: Floats, read: Sequence[Part], edges: Sequence[Edge], doubt: float
) -> Reliability:
    """Of what is `read`, at least two parts, of an image with all these `edges`, among them those
    between the parts; `doubt` are the rows by which another reading might well differ."""
    starts = {part.start for part in read}
    used = [edge for edge in edges if edge.row in starts]
    surface = read[0].stop if read[0].index < 0 else 0.0
    other = [abs(edge.slope) for edge in edges if edge.row not in starts and edge.row > surface]
    steps = [abs(below.grey - above.grey) for above, below in itertools.pairwise(read)]
    spans = [step / abs(edge.slope) for step, edge in zip(steps, used, strict=True)]
    # Of a step, by the smoothing alone: a Gaussian's area over its height.
    span = sqrt(max(0.0, max(spans) ** 2 - 2 * pi * smoothing(len(rows)) ** 2))
    level = np.repeat([one.grey for one in read], [round(b.stop) - round(b.start) for b in read])
    weakest = min(abs(edge.slope) for edge in used)
    step, left = min(steps), float(np.std(rows - level))
    wide = _WIDE * len(rows)
    return Reliability(
        contrast=step / (step + left),
        noise=step / (step + _noise(image)),
        coherence=max(0.0, 2 * mean([one.fitting for one in read], read) - 1),
        saturation=max(0.0, 1 - 2 * saturation(read)),
        sharpness=wide / (wide + span),
        explained=weakest / (weakest + max(other, default=0.0)),
        margin=wide / (wide + doubt),
    )


def saturation(read: Sequence[Part]) -> float:
    """The share of pixels at an end of the scale, of the content or of all, the larger one."""
    content = [one for one in read if one.index >= 0]
    of_all = mean([one.saturated for one in read], read)
    return max(of_all, mean([one.saturated for one in content], content)) if content else of_all


def mean(shares: Sequence[float], read: Sequence[Part]) -> float:
    """Of shares of parts' pixels, over all their pixels."""
    total = sum(share * one.rows for share, one in zip(shares, read, strict=True))
    return total / sum(one.rows for one in read)


def _noise(image: Image) -> float:
    """The pixels' standard deviation within a row and a strip, in grey levels (0 to 255)."""
    each = image.shape[1] // STRIPS
    some = image[:: max(1, len(image) // _SAMPLED), : each * STRIPS].reshape(-1, each)
    exact = some.astype(np.float64)
    squares = np.einsum("ij,ij->i", exact, exact) / each
    # numpy's own variance takes three times as long.
    variance = float(np.mean(squares - exact.mean(axis=1) ** 2))
    return sqrt(max(0.0, variance)) * 255 / full_scale(image)
