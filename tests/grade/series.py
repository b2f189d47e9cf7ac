"""The real series in which sensors' faults are planted, by source."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tests.grade.photos import SHARED, Part
from vigia.demo.recording import PERIOD_US, SIGNALS, recordings

Floats = NDArray[np.float64]
# Meters that share a site stand on the same side.
_CHOSEN_METERS = {"1", "17", "2", "18", "4", "19"}


@dataclass(frozen=True, slots=True)
class Series:
    """One signal: `times_us` rise, values are finite. Its rules are set by the first FIT_SHARE of
    it, and it is graded on the rest."""

    source: str
    name: str
    times_us: NDArray[np.int64]
    values: Floats


def series(part: Part) -> Iterator[Series]:
    """All of one part: what comes with the repository is in the first."""
    if part == "chosen-on":
        yield from rig()
    yield from _meters(part)
    if part == "held-out":
        yield from _stations()
        yield from _pump()


def rig() -> Iterator[Series]:
    """The pipeline rig of the demo, 10 Hz."""
    for asset, run in recordings().items():
        times_us = np.arange(len(run.rows), dtype=np.int64) * PERIOD_US
        for column, signal in enumerate(SIGNALS):
            yield Series("rig", f"{asset} {signal}", times_us, run.rows[:, column])


def _meters(part: Part) -> Iterator[Series]:
    """Industrial gas meters, hourly."""
    for file in sorted((SHARED / "contugas").glob("*.parquet")):
        number = file.stem.removeprefix("CLIENTE")
        if (number in _CHOSEN_METERS) == (part == "chosen-on"):
            table = pq.read_table(file)
            times = table["Fecha"].to_numpy().astype("datetime64[us]").astype(np.int64)
            for signal in ("Presion", "Temperatura", "Volumen"):
                values = table[signal].to_numpy().astype(np.float64)
                yield _clean("gas meters", f"{number} {signal}", times, values)


def _stations() -> Iterator[Series]:
    """Gas pipeline stations, hourly, with glitches of their own."""
    names = ("gravity", "difference", "pressure", "temperature", "flow")
    for file in sorted((SHARED / "azerbaijan_gas_pipeline").glob("*.csv")):
        rows = list(csv.reader(file.open(encoding="utf-8")))[1:]
        times = np.array([_moment(row[0], "%d-%m-%Y %H:%M") for row in rows], np.int64)
        for at, name in enumerate(names, 1):
            values = np.array([_number(row, at) for row in rows])
            yield _clean("gas stations", f"{file.stem} {name}", times, values)


def _pump() -> Iterator[Series]:
    """A pump and valve rig without anomalies, 1 Hz."""
    file = SHARED / "skab" / "data" / "anomaly-free" / "anomaly-free.csv"
    if not file.exists():
        return
    head, *rows = list(csv.reader(file.open(encoding="utf-8"), delimiter=";"))
    times = np.array([_moment(row[0], "%Y-%m-%d %H:%M:%S") for row in rows], np.int64)
    for at, name in enumerate(head[1:], 1):
        yield _clean("pump rig", name, times, np.array([_number(row, at) for row in rows]))


def _moment(text: str, shape: str) -> int:
    try:
        moment = datetime.strptime(text, shape).replace(tzinfo=UTC)
    except ValueError:
        return 0
    return int(moment.timestamp()) * 1_000_000


def _number(row: list[str], at: int) -> float:
    try:
        return float(row[at])
    except (ValueError, IndexError):
        return float("nan")


def _clean(source: str, name: str, times_us: NDArray[np.int64], values: Floats) -> Series:
    rising = np.concatenate([[True], times_us[1:] > np.maximum.accumulate(times_us)[:-1]])
    kept = rising & np.isfinite(values) & (times_us > 0)
    return Series(source, name, times_us[kept], values[kept])


def is_here(folder: str) -> bool:
    """Whether that folder of the shared data is on this machine."""
    return Path(SHARED / folder).is_dir()
