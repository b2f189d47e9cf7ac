"""Withdrawals and pump changes on recorded rows: what a model is judged on.

Columns are whut.SIGNALS: inlet flow, outlet flow, inlet pressure, outlet pressure. Pressure goes
with the square of the flow at its end of the line, p = k q^2.
"""

from __future__ import annotations

import numpy as np

from training.whut import Rows


def trapezoid(rows: int, start: int, ramp: int, hold: int) -> Rows:
    """float64 [rows] from 0 to 1: rises for `ramp` rows from `start`, stays for `hold`, falls."""
    at = np.arange(rows, dtype=np.float64) - start
    return np.clip(np.minimum(at, 2 * ramp + hold - at) / ramp, 0.0, 1.0)


def withdraw(rows: Rows, shape: Rows, size: float, split: float) -> Rows:
    """`size` of the flow is taken between the two meters: the inlet rises by `split` of it, the
    outlet falls by the rest."""
    inlet = 1.0 + split * size * shape
    outlet = 1.0 - (1.0 - split) * size * shape
    return rows * np.stack([inlet, outlet, inlet**2, outlet**2], axis=-1)


def pump(rows: Rows, shape: Rows, change: float, lag: int = 0) -> Rows:
    """The pumps give `change` more (or less) flow; the outlet follows `lag` rows later."""
    inlet = 1.0 + change * shape
    late = np.concatenate([np.full(lag, shape[0]), shape[: len(shape) - lag]])
    outlet = 1.0 + change * late
    return rows * np.stack([inlet, outlet, inlet**2, outlet**2], axis=-1)
