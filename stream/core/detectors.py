"""What a detector is: closed windows in, one result a window out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.identity import detection_id
from contracts.messages import Detection, DetectionBatch, Model, Verdict
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


def to_batches(
    detector: Detector, block: WindowBlock, results: Results, plant: str
) -> list[DetectionBatch]:
    """The results as messages: one for each run of windows of the same asset."""
    items: dict[str, list[Detection]] = {}
    for index, asset in enumerate(block.assets):
        items.setdefault(asset, []).append(_detection(detector.id, asset, index, block, results))
    return [
        DetectionBatch(
            asset=asset,
            detector=detector.id,
            kind=detector.kind,
            model=detector.model,
            plant=plant,
            items=tuple(found),
        )
        for asset, found in items.items()
    ]


def _detection(
    detector: str, asset: str, index: int, block: WindowBlock, results: Results
) -> Detection:
    start = int(block.starts_us[index])
    end = start + block.width_us
    score = float(results.score[index])
    measured = score == score
    verdict = Verdict.ABNORMAL if results.abnormal[index] else Verdict.NORMAL
    return Detection(
        id=detection_id(asset, detector, start, end),
        start_us=start,
        end_us=end,
        verdict=verdict if measured else Verdict.NOT_MEASURED,
        score=score if measured else None,
        threshold=float(results.threshold[index]),
        reason=results.reason[index],
        evidence=_evidence(results.evidence, index),
        received_us=int(block.received_us[index]),
    )


def _evidence(evidence: dict[str, Floats], index: int) -> dict[str, float]:
    found = {name: float(values[index]) for name, values in evidence.items()}
    return {name: value for name, value in found.items() if np.isfinite(value)}
