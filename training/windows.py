"""Windows of rows, as the stream cuts them."""

from __future__ import annotations

import numpy as np

from training.whut import Rows

ROWS = 30
HOP = 5


def cut(rows: Rows, hop: int = HOP) -> Rows:
    """float64 [n, ROWS, S]: every window of `rows` [m, S], `hop` rows apart. A view."""
    windows = np.lib.stride_tricks.sliding_window_view(rows, ROWS, axis=0)
    return np.moveaxis(windows[::hop], -1, 1)
