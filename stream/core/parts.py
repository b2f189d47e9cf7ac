"""What an image's rows are read as, measured by the pixel; and how far that may be relied on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod, sqrt

import numpy as np

from contracts.plant.cameras import Layer
from stream.core.profile import STRIPS, Edge, Floats, Image, full_scale

_WIDE = 0.1
"""A slope over this share of the height makes an interface half as sharp as a step."""
_SAMPLED = 64
"""Rows, evenly spaced, from which the pixels' noise is taken."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows from `start` to `stop` (px) that are read as layer `index`, or as none (-1); the share
    of their pixels that fit, and that are at an end of the scale, and their mean grey level."""

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
            saturated, grey = _saturated(image[cut]), float(rows[cut].mean())
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


def _saturated(image: Image) -> float:
    ends = np.count_nonzero(image == 0) + np.count_nonzero(image == full_scale(image))
    return ends / image.size


@dataclass(frozen=True, slots=True)
class Reliability:
    """What the reliability is made of, each from 0 (none) to 1.

    `contrast`: the smallest step at an interface, against what the layers leave unexplained of
    the row profile; `noise`: that step against the pixels' standard deviation; `coherence`: how
    many pixels are in the range of what they are read as, beyond one half; `saturation`: how many
    pixels of the content are not at the end of the scale; `sharpness`: how short the longest
    slope is; `margin`: see stream.core.layers.Split.
    """

    contrast: float
    noise: float
    coherence: float
    saturation: float
    sharpness: float
    margin: float

    @property
    def total(self) -> float:
        """0 to 100: the geometric mean of all, times the weakest one, so that no five good ones
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
    image: Image, rows: Floats, read: Sequence[Part], edges: Sequence[Edge], margin: float
) -> Reliability:
    """Of what is `read`, at least two parts, with the `edges` between them."""
    steps = [abs(below.grey - above.grey) for above, below in itertools.pairwise(read)]
    level = np.repeat([one.grey for one in read], [round(b.stop) - round(b.start) for b in read])
    left = float(np.std(rows - level))
    content = [one for one in read if one.index >= 0]
    saturated = mean([one.saturated for one in content], content)
    slopes = [step / abs(edge.slope) for step, edge in zip(steps, edges, strict=True)]
    step = min(steps)
    return Reliability(
        contrast=step / (step + left),
        noise=step / (step + _noise(image)),
        coherence=max(0.0, 2 * mean([one.fitting for one in read], read) - 1),
        saturation=max(0.0, 1 - 2 * saturated),
        sharpness=1 / (1 + max(slopes) / (_WIDE * len(rows))),
        margin=margin,
    )


def mean(shares: Sequence[float], read: Sequence[Part]) -> float:
    """Of shares of parts' pixels, over all their pixels."""
    return float(np.average(shares, weights=[one.rows for one in read]))


def _noise(image: Image) -> float:
    """The pixels' standard deviation within a row and a strip, in grey levels (0 to 255)."""
    each = image.shape[1] // STRIPS
    some = image[:: max(1, len(image) // _SAMPLED), : each * STRIPS].astype(np.float32)
    return float(np.sqrt(some.reshape(-1, each).var(axis=1).mean())) * 255 / full_scale(image)
