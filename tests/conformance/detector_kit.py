"""What every detector must keep, whatever it looks for.

`check_detector(detector, signals, assets)` raises AssertionError that names what is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contracts.messages import Detection, DetectionBatch, Verdict, decode_json, encode_json
from contracts.readings import Quality
from stream.core.detectors import Detector, Results, encode
from stream.core.windows import WindowBlock


def sample(
    detector: Detector, signals: Sequence[str], assets: Sequence[str], seed: int, rows: int = 30
) -> WindowBlock:
    """Seven windows: calm, wild, with gaps, with impossible values, of one row, all missing,
    constant."""
    r = np.random.default_rng(seed)
    width = detector.spec.width_us
    starts = np.arange(7, dtype=np.int64) * detector.spec.hop_us
    times = starts[:, None] + (np.arange(rows) * width // rows)[None, :]
    values = 1.0 + r.normal(0, 0.01, (7, rows, len(signals)))
    values[1] = r.normal(0, 100, values[1].shape)
    values[2, ::3] = np.nan
    quality = np.zeros(values.shape, np.uint8)
    quality[3, :, 0] = Quality.OUT_OF_RANGE
    present = np.ones((7, rows), bool)
    present[4, 1:] = False
    values[5] = np.nan
    values[6] = 1.0
    values[~present] = np.nan
    times[~present] = 0
    quality[np.isnan(values)] = Quality.MISSING
    names = tuple(assets[i % len(assets)] for i in range(7))
    received = starts + width
    backfill = np.zeros(len(starts), bool)
    return WindowBlock(
        names, tuple(signals), width, starts, received, backfill, present, times, values, quality
    )


def check_detector(detector: Detector, signals: Sequence[str], assets: Sequence[str]) -> None:
    """Runs every check."""
    block = sample(detector, signals, assets, seed=1)
    results = detector.detect(block)
    _check_shapes(results, len(block))
    _check_verdicts(results)
    _check_alone(detector, block, results)
    _check_padding(detector, block, results)
    _check_other_rows(detector, block, results)
    _check_messages(detector, block, results)


def _check_shapes(results: Results, count: int) -> None:
    for name in ("score", "threshold", "abnormal"):
        assert getattr(results, name).shape == (count,), f"{name}: one for each window"
    assert len(results.reason) == count, "reason: one for each window"
    assert np.isfinite(results.threshold).all(), "threshold: always a number"


def _check_verdicts(results: Results) -> None:
    unmeasured = np.isnan(results.score)
    assert not np.isinf(results.score).any(), "score: never infinite"
    assert not results.abnormal[unmeasured].any(), "what was not measured is not abnormal"
    for at in np.flatnonzero(unmeasured):
        assert results.reason[at], "what was not measured says why"


def _same(a: Results, b: Results, at: int, where: int, what: str) -> None:
    same = np.array_equal(a.score[at], b.score[where], equal_nan=True)
    assert same and a.abnormal[at] == b.abnormal[where] and a.reason[at] == b.reason[where], what


def _check_alone(detector: Detector, block: WindowBlock, results: Results) -> None:
    for at in range(len(block)):
        _same(results, detector.detect(pick(block, [at])), at, 0, "a window alone is scored alike")
    turned = list(range(len(block)))[::-1]
    backwards = detector.detect(pick(block, turned))
    for where, at in enumerate(turned):
        _same(results, backwards, at, where, "the order of windows does not matter")


def _check_padding(detector: Detector, block: WindowBlock, results: Results) -> None:
    longer = sample(detector, block.signals, block.assets, seed=2, rows=47)
    both = detector.detect(padded(block, longer))
    for at in range(len(block)):
        _same(results, both, at, at, "padding does not change a score")


def _check_other_rows(detector: Detector, block: WindowBlock, results: Results) -> None:
    before = block.values.copy()
    again = detector.detect(block)
    assert np.array_equal(before, block.values, equal_nan=True), "rows are not written to"
    for at in range(len(block)):
        _same(results, again, at, at, "the second time gives the same")


def _check_messages(detector: Detector, block: WindowBlock, results: Results) -> None:
    items: list[Detection] = []
    for sent in encode(detector, block, results, "p"):
        batch = decode_json(DetectionBatch, sent.value)
        assert encode_json(batch) == sent.value, "written as the message says"
        items += batch.items
    assert len({item.id for item in items}) == len(block), "one identity a window"
    for item in items:
        measured = item.verdict is not Verdict.NOT_MEASURED
        assert measured == (item.score is not None), "a verdict needs a score"


def padded(block: WindowBlock, longer: WindowBlock) -> WindowBlock:
    """One block of both, the windows of `block` filled up to the length of the others."""
    short = longer.present.shape[1] - block.present.shape[1]

    def join(name: str, fill: float) -> Any:
        array = getattr(block, name)
        widths = [(0, 0), (0, short)] + [(0, 0)] * (array.ndim - 2)
        return np.concatenate((np.pad(array, widths, constant_values=fill), getattr(longer, name)))

    return WindowBlock(
        block.assets + longer.assets,
        block.signals,
        block.width_us,
        np.concatenate((block.starts_us, longer.starts_us)),
        np.concatenate((block.received_us, longer.received_us)),
        np.concatenate((block.backfill, longer.backfill)),
        join("present", False),
        join("times_us", 0),
        join("values", np.nan),
        join("quality", int(Quality.MISSING)),
    )


def pick(block: WindowBlock, index: list[int]) -> WindowBlock:
    """These windows of a block."""
    return WindowBlock(
        tuple(block.assets[i] for i in index),
        block.signals,
        block.width_us,
        block.starts_us[index],
        block.received_us[index],
        block.backfill[index],
        block.present[index],
        block.times_us[index],
        block.values[index],
        block.quality[index],
    )
