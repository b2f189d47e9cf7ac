"""The real series in which sensors' faults are planted, by source."""

from __future__ import annotations

import csv
import json
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
Bools = NDArray[np.bool_]
_PUMP = SHARED / "skab" / "data"
_LABELS = ("anomaly", "changepoint")
_EPOCH_US = 1_700_000_000_000_000


@dataclass(frozen=True, slots=True)
class Series:
    """One signal: `times_us` rise, values are finite; `strange` [n] are those that its source
    itself calls anomalous. Its rules are set by the first FIT_SHARE of it, and it is graded on
    the rest."""

    source: str
    name: str
    times_us: NDArray[np.int64]
    values: Floats
    strange: Bools


def series(part: Part) -> Iterator[Series]:
    """All of one part. What comes with the repository is in the first, and so is all that any
    figure was seen of while the rules were made."""
    if part == "chosen-on":
        yield from rig()
        yield from _meters()
        yield from _stations()
        yield from _pump("anomaly-free")
    else:
        yield from _pump("valve1", "valve2", "other")
        yield from _machines()


def rig() -> Iterator[Series]:
    """The pipeline rig of the demo, 10 Hz."""
    for asset, run in recordings().items():
        times_us = np.arange(len(run.rows), dtype=np.int64) * PERIOD_US
        for column, signal in enumerate(SIGNALS):
            yield _clean("rig", f"{asset} {signal}", times_us + _EPOCH_US, run.rows[:, column])


def _meters() -> Iterator[Series]:
    """Industrial gas meters, hourly."""
    for file in sorted((SHARED / "contugas").glob("*.parquet")):
        number = file.stem.removeprefix("CLIENTE")
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


def _pump(*folders: str) -> Iterator[Series]:
    """Runs of a pump and valve rig, 1 Hz."""
    for file in sorted(one for folder in folders for one in _PUMP.glob(f"{folder}/*.csv")):
        head, *rows = list(csv.reader(file.open(encoding="utf-8"), delimiter=";"))
        times = np.array([_moment(row[0], "%Y-%m-%d %H:%M:%S") for row in rows], np.int64)
        signals = [name for name in head[1:] if name not in _LABELS]
        label = head.index("anomaly") if "anomaly" in head else None
        strange = np.array([label is not None and _number(row, label) > 0 for row in rows])
        for at, name in enumerate(signals, 1):
            values = np.array([_number(row, at) for row in rows])
            full = f"{file.parent.name} {file.stem} {name}"
            yield _clean("pump rig", full, times, values, strange)


def _machines() -> Iterator[Series]:
    """What computers, roads and machines measure, every 5 minutes or so, with labelled windows."""
    labels = SHARED / "nab" / "labels" / "combined_windows.json"
    windows = json.loads(labels.read_text(encoding="utf-8")) if labels.exists() else {}
    for name, spans in windows.items():
        if name.split("/")[0] not in ("realKnownCause", "realTraffic", "realAWSCloudwatch"):
            continue
        file = SHARED / "nab" / "data" / name
        rows = list(csv.reader(file.open(encoding="utf-8")))[1:]
        times = np.array([_moment(row[0], "%Y-%m-%d %H:%M:%S") for row in rows], np.int64)
        strange = np.zeros(len(rows), bool)
        for begin, end in spans:
            first, last = (_moment(text, "%Y-%m-%d %H:%M:%S.%f") for text in (begin, end))
            strange |= (times >= first) & (times <= last)
        values = np.array([_number(row, 1) for row in rows])
        yield _clean("machines", file.stem, times, values, strange)


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


def _clean(
    source: str,
    name: str,
    times_us: NDArray[np.int64],
    values: Floats,
    strange: Bools | None = None,
) -> Series:
    rising = np.concatenate([[True], times_us[1:] > np.maximum.accumulate(times_us)[:-1]])
    kept = rising & np.isfinite(values) & (times_us > 0)
    odd = np.zeros(len(times_us), bool) if strange is None else strange
    return Series(source, name, times_us[kept], values[kept], odd[kept])


def is_here(folder: str) -> bool:
    """Whether that folder of the shared data is on this machine."""
    return Path(SHARED / folder).is_dir()
