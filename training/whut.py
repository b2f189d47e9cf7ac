"""The WHUT pipeline rig: from the original CSV files to the one file that ships, and back.

Five runs of one rig at 10 Hz, one for each number of pumps that run: five assets. Of each run the
first 60 % is history to fit on, the rest is never fitted on. The source states no units; its
pressure range (0.2 to 1.4 MPa) says that pressures are MPa.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Rows: TypeAlias = npt.NDArray[np.float64]

SHIPPED = Path(__file__).parents[1] / "vigia" / "demo" / "data" / "whut.npz"
SIGNALS = ("flow1", "flow2", "pre1", "pre2")
ASSETS = {f"whut/pumps-{pumps}": f"{pumps}bengzc.csv" for pumps in range(1, 6)}
PERIOD_US = 100_000
FIT_SHARE = 0.6
# The rig starts up in the first minute of the first run; all runs lose it, so that one rule holds.
SETTLE_ROWS = 600


@dataclass(frozen=True, slots=True)
class Run:
    """One asset's rows float64 [n, 4], columns SIGNALS, 100 ms apart, without gaps."""

    asset: str
    rows: Rows

    @property
    def cut(self) -> int:
        """The first row that is not fitted on."""
        return int(len(self.rows) * FIT_SHARE)

    @property
    def history(self) -> Rows:
        """What may be fitted on: the first 60 % without the start of the rig."""
        return self.rows[SETTLE_ROWS : self.cut]

    @property
    def held_out(self) -> Rows:
        """The last 40 %."""
        return self.rows[self.cut :]


def read_csv(text: str) -> tuple[Rows, int]:
    """The usable rows of one original file, and how many were left out: rows in which a needed
    value is blank, and a row without a time (the first file ends with the mean of its columns)."""
    kept: list[list[float]] = []
    dropped = 0
    for record in csv.DictReader(io.StringIO(text)):
        row = {key.strip(): (value or "").strip() for key, value in record.items() if key}
        if row["time"] in ("", "0") or any(not row[signal] for signal in SIGNALS):
            dropped += 1
            continue
        kept.append([float(row[signal]) for signal in SIGNALS])
    return np.array(kept), dropped


def ship(folder: Path, out: Path = SHIPPED) -> dict[str, tuple[int, int]]:
    """Write the shipped file from the original CSV files; (kept, left out) rows by asset. The same
    input gives the same arrays, and with the same zlib the same bytes."""
    counts: dict[str, tuple[int, int]] = {}
    arrays: dict[str, Any] = {}
    for asset, name in ASSETS.items():
        rows, dropped = read_csv((folder / name).read_text(encoding="utf-8-sig"))
        arrays[asset.replace("/", ".")] = rows.astype(np.float32)
        counts[asset] = (len(rows), dropped)
    np.savez_compressed(out, signals=np.array(SIGNALS), **arrays)
    return counts


def load(path: Path = SHIPPED) -> tuple[Run, ...]:
    """The five runs of the shipped file."""
    with np.load(path, allow_pickle=False) as file:
        if tuple(file["signals"]) != SIGNALS:
            raise ValueError(f"{path}: expected signals {SIGNALS}, got {tuple(file['signals'])}")
        return tuple(
            Run(asset, file[asset.replace("/", ".")].astype(np.float64)) for asset in ASSETS
        )
