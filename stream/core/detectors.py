"""What a detector is: closed windows in, one result a window out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from contracts.identity import detection_id
from contracts.messages import Model, Verdict
from contracts.readings import Quality
from stream.core.windows import WindowBlock, WindowSpec

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Results:
    """One result a window, all [n]: `score` (NaN where the window was not measured),
    `threshold`, `abnormal` (False where not measured), `reason` codes of contracts.texts, and
    further numbers for a person under `evidence`."""

    score: Floats
    threshold: Floats
    abnormal: Bools
    reason: tuple[str, ...]
    evidence: dict[str, Floats] = field(default_factory=dict)


class Detector(Protocol):
    """Scores windows. The same window gets the same result whatever other windows stand beside
    it in the block and however far its rows are padded: decisions must not change when a worker
    starts again and batches differ."""

    @property
    def id(self) -> str:
        """Its name in the plant file."""

    @property
    def kind(self) -> str:
        """Its kind in the plant file."""

    @property
    def spec(self) -> WindowSpec:
        """The windows that it wants."""

    @property
    def model(self) -> Model | None:
        """The model package behind it, if there is one."""

    def detect(self, block: WindowBlock) -> Results:
        """One result for each window of `block`, whose signals are the asset's. Never raises
        for what values the rows have."""


def usable(block: WindowBlock, signal: str) -> tuple[Floats, Bools]:
    """float64 [n, T] values of one signal, and bool [n, T]: where they were really measured
    (or held) and are possible."""
    index = block.signals.index(signal)
    values = block.values[:, :, index]
    quality = block.quality[:, :, index]
    good = block.present & np.isfinite(values)
    good &= (quality == Quality.GOOD) | (quality == Quality.HELD)
    return values, good


def total(values: Floats, where: Bools) -> Floats:
    """The sum [n] of `values` [n, T] where `where`, term by term from the left: np.sum pairs
    terms by the array's length, so padding would change the last bits."""
    if not values.shape[1]:
        return np.zeros(len(values))
    return np.asarray(np.cumsum(np.where(where, values, 0.0), axis=1)[:, -1])


def mean(values: Floats, where: Bools) -> Floats:
    """The mean [n] of `values` [n, T] where `where`; NaN where there is nothing. Taken from the
    first value on, so that the mean of a value that stands still is that value exactly."""
    counts = where.sum(axis=1)
    first = values[np.arange(len(values)), np.argmax(where, axis=1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(first + total(values - first[:, None], where) / counts)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A `contracts.messages.DetectionBatch` of one asset as it goes on the log, and what the
    sender needs of it."""

    id: str
    asset: str
    value: bytes
    windows: int


def encode(
    detector: Detector, block: WindowBlock, results: Results, plant: str
) -> Iterator[Encoded]:
    """The results as messages: at most MAX_ITEMS windows of one asset each, in order.

    Written straight from the columns: a model object a detection would cost more than the
    detector. That it is what DetectionBatch reads, the tests say.
    """
    model = detector.model
    head = {
        "detector": detector.id,
        "kind": detector.kind,
        "model": None if model is None else model.model_dump(),
        "plant": plant,
    }
    columns = _columns(block, results)
    evidence = _evidence(results)
    for start, end in _runs(block):
        asset, backfill = block.assets[start], bool(block.backfill[start])
        part = {name: values[start:end] for name, values in columns.items()}
        told = {str(at - start): evidence[at] for at in range(start, end) if at in evidence}
        # The parts of a batch differ between runs; what they hold does not.
        name = detection_id(
            asset, detector.id, part["start_us"][0], part["end_us"][-1], end - start
        )
        value = orjson.dumps(
            {"asset": asset, **head, "backfill": backfill, "revision": 0, **part, "evidence": told}
        )
        yield Encoded(name, asset, value, end - start)


def _runs(block: WindowBlock) -> Iterator[tuple[int, int]]:
    """Where the windows of an asset stand together, those that are a backfill by themselves, in
    parts of at most MAX_ITEMS windows."""
    kinds = list(zip(block.assets, block.backfill.tolist(), strict=True))
    start = 0
    for end in range(1, len(kinds) + 1):
        if end == len(kinds) or kinds[end] != kinds[start] or end - start == MAX_ITEMS:
            yield start, end
            start = end


def _columns(block: WindowBlock, results: Results) -> dict[str, list[Any]]:
    # A score that is no number is written as null.
    verdicts = np.where(np.isnan(results.score), _NOT_MEASURED, _NORMAL).astype(object)
    verdicts[results.abnormal] = _ABNORMAL
    return {
        "start_us": block.starts_us.tolist(),
        "end_us": block.ends_us.tolist(),
        "verdict": verdicts.tolist(),
        "score": results.score.tolist(),
        "threshold": results.threshold.tolist(),
        "reason": list(results.reason),
        "received_us": block.received_us.tolist(),
    }


def _evidence(results: Results) -> dict[int, dict[str, float]]:
    """What explains the abnormal windows, by their place. Only what may wake somebody needs it."""
    found = {}
    for at in np.flatnonzero(results.abnormal).tolist():
        numbers = ((name, float(values[at])) for name, values in results.evidence.items())
        found[at] = {name: number for name, number in numbers if isfinite(number)}
    return found


MAX_ITEMS = 500
"""Detections in one message: keeps it far below the broker's limit."""
_ABNORMAL, _NORMAL = Verdict.ABNORMAL.value, Verdict.NORMAL.value
_NOT_MEASURED = Verdict.NOT_MEASURED.value
