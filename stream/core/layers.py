"""Which layer begins at which edge: every admissible combination, scored at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from contracts.plant.cameras import Layer
from stream.core.profile import Bools, Edge, Floats, Rows

_MOST_COMBINATIONS = 25_000
_LEAST_GAIN = 0.01
"""What an interface must add to the rows that fit, as a share of all: thinner layers cannot be
told from the slope of an interface."""


@dataclass(frozen=True, slots=True)
class Split:
    """`ends` [n + 1]: which of the cuts each layer begins at, from the top down, and the last one,
    the bottom. What is above `ends[0]` is no layer. `doubt`: the rows by which an interface would
    be moved by another combination, less those that then fit worse, where that is most; 0 where
    each row moved is one that fits worse, as it is where no row fits another layer. Also the rows
    of content above a change against the layers' order."""

    ends: tuple[int, ...]
    doubt: float


@dataclass(frozen=True, slots=True)
class _Combinations:
    """`ends` intp [C, n + 1]; `first` [C] the topmost layer that has a height; `interfaces` [C]
    how many there are."""

    ends: Rows
    first: Rows
    interfaces: Rows


def inside(values: Floats, layer: Layer) -> Bools:
    """Where grey levels are the layer's: its lower limit is, its upper one is only if it is 255,
    so that layers share a limit."""
    low, high = layer.grey
    return np.asarray((values >= low) & ((values < high) | (high >= 255)))


def most_edges(layers: int) -> int:
    """How many edges can be combined for so many layers."""
    fitting = (n for n in range(12, 0, -1) if comb(n + 1 + layers, layers) <= _MOST_COMBINATIONS)
    return next(fitting)


def split(rows: Floats, cuts: Rows, layers: tuple[Layer, ...], inverted_px: float = 0.0) -> Split:
    """The combination in which most rows fit: `rows` float64 [H] are mean grey levels, `cuts`
    intp [K] rise from 0 to H, with at most `most_edges` between.

    A row fits a layer whose range it is in, and at least half of a layer's rows do. Above the
    topmost layer a row fits that is in the range of neither this layer nor one that belongs
    further up: layers keep their order, so a wall as cold as the water is no layer where it is
    above crude. `inverted_px` (see `inverted`) bears on the doubt alone: content above it is
    doubtful, so what has none there is not doubted for another combination that has.
    """
    member = np.stack([inside(rows, layer) for layer in layers])
    dry = ~np.logical_or.accumulate(member, axis=0)
    fits, empty = _sums(member)[:, cuts], _sums(dry)[:, cuts]
    every = _combinations(len(layers), len(cuts))
    ends = every.ends
    score = empty[every.first, ends[:, 0]].astype(np.float64)
    for index in range(len(layers)):
        start, stop = ends[:, index], ends[:, index + 1]
        fitting = fits[index, stop] - fits[index, start]
        score += np.where(2 * fitting >= cuts[stop] - cuts[start], fitting, -np.inf)
    best = int(np.argmax(score - every.interfaces * _LEAST_GAIN * len(rows)))
    moved = np.abs(cuts[ends] - cuts[ends[best]]).max(axis=1)
    likely = cuts[ends[:, 0]] >= round(inverted_px)
    doubt = np.max((moved - (score[best] - score))[likely], initial=0.0)
    return Split(tuple(ends[best].tolist()), max(float(doubt), inverted_px - cuts[ends[best, 0]]))


def inverted(edges: Sequence[Edge], layers: tuple[Layer, ...]) -> float:
    """The lowest row (px from the top) at which the image changes against the layers' order, 0
    where there is none. Content does not do that, so what is above may be no content, as a wall
    is that looks like the topmost layer."""
    lows = [layer.grey[0] for layer in layers]
    colder = all(above > below for above, below in itertools.pairwise(lows))
    warmer = all(above < below for above, below in itertools.pairwise(lows))
    if colder == warmer:
        return 0.0
    return max((edge.row for edge in edges if (edge.slope > 0) == colder), default=0.0)


def _sums(rows: Bools) -> NDArray[np.int64]:
    total = np.zeros((len(rows), rows.shape[1] + 1), np.int64)
    np.cumsum(rows, axis=1, out=total[:, 1:])
    return total


@lru_cache(maxsize=64)
def _combinations(layers: int, cuts: int) -> _Combinations:
    starts = list(itertools.combinations_with_replacement(range(cuts), layers))
    ends = np.pad(np.array(starts, np.intp), ((0, 0), (0, 1)), constant_values=cuts - 1)
    thick = np.diff(ends, axis=1) > 0
    first = np.where(thick.any(axis=1), thick.argmax(axis=1), layers - 1)
    distinct = np.diff(ends, axis=1, prepend=0) > 0
    distinct[:, 1:-1] &= ends[:, 1:-1] < cuts - 1
    distinct[:, 0] &= ends[:, 0] < cuts - 1
    return _Combinations(ends, first, distinct[:, :-1].sum(axis=1))
