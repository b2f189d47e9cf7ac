"""Arithmetic on arrays that hold one run of numbers after another, such as the rows of asset
after asset, without a step of Python for each run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]


def heads(labels: I64) -> Bools:
    """bool [n]: where a run of equal labels begins."""
    found = np.ones(len(labels), bool)
    np.not_equal(labels[1:], labels[:-1], out=found[1:])
    return found


def expand(starts: I64, counts: I64) -> I64:
    """starts[0], starts[0] + 1, ... (counts[0] of them), then those of starts[1], and so on."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(int(counts.sum()))


def sums(values: I64, counts: I64) -> I64:
    """The sum of each run; runs have `counts` numbers, 0 too."""
    running = np.concatenate(([0], np.cumsum(values)))
    ends = np.cumsum(counts)
    return np.asarray(running[ends] - running[ends - counts])


def running_maximum(values: I64, starts: Bools) -> I64:
    """For each number the largest of its run until there; `starts` says where runs begin."""
    if ((values[1:] >= values[:-1]) | starts[1:]).all():
        return values
    ordered, keys = _keys(values, np.cumsum(starts))
    return np.asarray(ordered[np.maximum.accumulate(keys) % len(values)])


def coming_minimum(values: I64, starts: Bools) -> I64:
    """For each number the smallest of its run from there on."""
    if ((values[1:] >= values[:-1]) | starts[1:]).all():
        return values
    ordered, keys = _keys(values, np.cumsum(starts))
    lowest = np.minimum.accumulate(keys[::-1])[::-1]
    return np.asarray(ordered[lowest % len(values)])


def _keys(values: I64, run: I64) -> tuple[I64, I64]:
    """The values in order, and for each value its place there plus its run's multiple of n:
    keys of a later run are larger, whatever the values, and nothing overflows."""
    order = np.argsort(values, kind="stable")
    rank = np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values))
    return values[order], run * len(values) + rank
