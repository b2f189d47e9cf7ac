"""The recording that the demo replays: five runs of the WHUT pipeline rig (see NOTICE).

`data/whut.npz` holds, for each asset, float32 [n, 4] at 10 Hz without gaps, rebuilt from the
original files by `python -m training data FOLDER`. The first 60 % of a run is what detectors and
models are fitted on; the demo replays only the rest. The first run's file ends with 38 blank rows
and, before them, a row of column means without a time: these 39 rows are left out. The other
files have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import IO, TypeAlias

import numpy as np
import numpy.typing as npt

Rows: TypeAlias = npt.NDArray[np.float64]

SIGNALS = ("flow1", "flow2", "pre1", "pre2")
PERIOD_US = 100_000
ROWS_PER_S = 10
FIT_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Recording:
    """One asset's run: rows float64 [n, 4], columns SIGNALS, PERIOD_US apart."""

    asset: str
    rows: Rows

    @property
    def cut(self) -> int:
        """The first row that nothing was fitted on."""
        return int(len(self.rows) * FIT_SHARE)

    @property
    def held_out(self) -> Rows:
        """What is replayed: the last 40 %."""
        return self.rows[self.cut :]


def recordings() -> dict[str, Recording]:
    """The shipped runs by asset, in the order of the number of pumps."""
    with (files("vigia.demo") / "data" / "whut.npz").open("rb") as file:
        return read_recordings(file)


def read_recordings(file: IO[bytes]) -> dict[str, Recording]:
    """The runs in an open `whut.npz`."""
    found = {}
    with np.load(file, allow_pickle=False) as arrays:
        for name in arrays.files:
            if name != "signals":
                asset = name.replace(".", "/")
                found[asset] = Recording(asset, arrays[name].astype(np.float64))
    return found
