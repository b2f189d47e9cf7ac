"""What is kept of many values: of the rows of a window, and of the panes that hold them."""

from __future__ import annotations

import numpy as np

from contracts.plant.panes import Statistic, column_of
from stream.core.detectors import Bools, Floats, mean, total, usable
from stream.core.features import level
from stream.core.windows import WindowBlock


def least(values: Floats, good: Bools) -> Floats:
    """The smallest [n] of `values` [n, T] where `good`; NaN where there is nothing."""
    found = np.where(good, values, np.inf).min(axis=1, initial=np.inf)
    return np.where(good.any(axis=1), found, np.nan)


def greatest(values: Floats, good: Bools) -> Floats:
    """The largest [n] of `values` [n, T] where `good`; NaN where there is nothing."""
    return -least(-values, good)


def last(values: Floats, good: Bools) -> Floats:
    """The last [n] of `values` [n, T] where `good`; NaN where there is nothing."""
    at = values.shape[1] - 1 - np.argmax(good[:, ::-1], axis=1)
    return np.where(good.any(axis=1), values[np.arange(len(values)), at], np.nan)


OF_ROWS = {"mean": mean, "min": least, "max": greatest, "median": level, "last": last}
"""What a window's value may be: each from values [n, T] and where they are usable."""


def weighted_mean(values: Floats, counts: Floats, where: Bools) -> Floats:
    """The mean [n] of what `values` [n, T] are means of, `counts` each, where `where`. Taken from
    the first one on, as `mean` is."""
    first = values[np.arange(len(values)), np.argmax(where, axis=1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = total((values - first[:, None]) * counts, where) / total(counts, where)
        return np.asarray(np.where(where.any(axis=1), first + moved, np.nan))


def of_panes(block: WindowBlock, signal: str, of: Statistic, pane_us: int) -> tuple[Floats, Floats]:
    """The value [n] that the usable values of `signal` have over each window, and how many they
    were [n], from the windows' panes: what OF_ROWS says of their rows, the mean but for the last
    bits."""
    counts, known = usable(block, column_of(signal, "n", pane_us))
    values, measured = usable(block, column_of(signal, of, pane_us))
    where = known & measured & (counts > 0)
    if of == "mean":
        return weighted_mean(values, counts, where), total(counts, where)
    return OF_ROWS[of](values, where), total(counts, where)
