"""Rules on windows made by hand, and what every rule must keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from contracts.plant.detectors import Detector as Section
from contracts.readings import Quality
from contracts.texts import REASONS
from stream.core.detectors import Results
from stream.core.rules import near, rule
from stream.core.windows import WindowBlock

SECOND = 1_000_000
SIGNALS = ("p", "q")


def block(rows: Any, quality: Any = None, signals: tuple[str, ...] = SIGNALS) -> WindowBlock:
    """Windows of one row a second: `rows` [n, T, S]."""
    values = np.asarray(rows, float)
    n, t, _ = values.shape
    codes = np.zeros(values.shape, np.uint8) if quality is None else np.asarray(quality, np.uint8)
    codes = np.where(np.isnan(values), int(Quality.MISSING), codes).astype(np.uint8)
    starts = np.arange(n, dtype=np.int64) * t * SECOND
    times = starts[:, None] + np.arange(t) * SECOND
    return WindowBlock(
        ("s/a",) * n,
        signals,
        t * SECOND,
        starts,
        starts,
        np.zeros(n, bool),
        np.ones((n, t), bool),
        times,
        values,
        codes,
    )


def one(values: list[float]) -> WindowBlock:
    return block([[[value, 1.0] for value in values]])


def detect(windows: WindowBlock, **section: Any) -> Results:
    width = windows.width_us // SECOND
    section |= {"id": "d", "window": {"width": f"{width}s", "hop": f"{width}s"}}
    detector = rule(TypeAdapter(Section).validate_python(section))
    assert detector is not None
    return detector.detect(windows)


@pytest.mark.parametrize(
    ("of", "values", "score", "reason"),
    [
        ("mean", [1, 2, 6], 0, "limit-low"),
        ("mean", [9, 9, 9], 4, "limit-high"),
        ("max", [1, 1, 7], 2, "limit-high"),
        ("min", [-3, 4, 4], 3, "limit-low"),
        ("median", [0, 6, 99], 1, "limit-high"),
        ("last", [9, 9, 5], 0, "limit-low"),
        ("mean", [np.nan, 8, 8], 3, "limit-high"),
    ],
)
def test_limit(of: str, values: list[float], score: float, reason: str) -> None:
    found = detect(one(values), kind="limit", signal="p", of=of, low=0, high=5)
    assert found.score.tolist() == [score]
    assert found.abnormal.tolist() == [score > 0]
    assert not score or found.reason == (reason,)


def test_a_value_at_the_limit_is_within_it() -> None:
    found = detect(one([0.1] * 30), kind="limit", signal="p", high=0.1)
    assert found.abnormal.tolist() == [False]


@pytest.mark.parametrize(
    ("side", "values", "abnormal"),
    [
        ("both", [0, 2, 4, 6], True),
        ("both", [6, 4, 2, 0], True),
        ("rise", [6, 4, 2, 0], False),
        ("fall", [6, 4, 2, 0], True),
        ("both", [1, 1, 1, 1], False),
    ],
)
def test_rate(side: str, values: list[float], abnormal: bool) -> None:
    found = detect(one(values), kind="rate", signal="p", limit=1, per="1s", side=side)
    assert found.abnormal.tolist() == [abnormal]


def test_rate_is_in_the_unit_each_per() -> None:
    found = detect(one([0, 2, 4, 6]), kind="rate", signal="p", limit=1, per="1min")
    assert found.score.tolist() == pytest.approx([120])


def imbalance(outlet: list[float], **more: Any) -> Results:
    section = {"kind": "imbalance", "inlet": "p", "outlet": "q", "limit": 0.02} | more
    if "history" not in section:
        section.setdefault("baseline", {"s/a": 0.01})
    return detect(block([[[1.0, value] for value in outlet]]), **section)


def test_imbalance_is_judged_against_the_assets_own() -> None:
    assert imbalance([0.99] * 10).score == pytest.approx([0.0])
    lost = imbalance([0.95] * 10)
    assert lost.score == pytest.approx([0.04])
    assert (lost.abnormal.tolist(), lost.reason) == ([True], ("imbalance-loss",))
    assert not imbalance([1.2] * 10).abnormal.any()
    assert imbalance([1.2] * 10, side="gain").reason == ("imbalance-gain",)


def test_pulses_of_the_meter_are_not_measured() -> None:
    pulsed = [0.99] * 10 + [3.0, 2.0, 1.3, 1.02] + [0.99] * 6
    masked = imbalance(pulsed, pulse=0.1, guard=["1s", "3s"])
    assert masked.score == pytest.approx([0.0])
    everywhere = imbalance([3.0] * 20, pulse=0.1, min_rows=5)
    assert np.isnan(everywhere.score).all()
    assert (everywhere.abnormal.tolist(), everywhere.reason) == ([False], ("masked",))


def test_imbalance_against_the_history_before_the_window() -> None:
    outlet = [0.95] * 40 + [0.90] * 10
    rows = block([[[1.0, value] for value in outlet]])
    section = {"kind": "imbalance", "id": "d", "inlet": "p", "outlet": "q", "limit": 0.02}
    section |= {"window": {"width": "10s", "hop": "10s"}, "history": "40s"}
    detector = rule(TypeAdapter(Section).validate_python(section))
    assert detector is not None
    assert detector.spec.width_us == 50 * SECOND
    assert detector.detect(rows).score == pytest.approx([0.05])


def test_pulse() -> None:
    found = detect(one([1, 1, 2.5, 1]), kind="pulse", signal="p", reference="q", ratio=2)
    assert (found.score.tolist(), found.abnormal.tolist()) == ([2.5], [True])


def test_instrument_faults_name_their_signals() -> None:
    rows = [[[1.0, np.nan]] * 3 + [[1.0, 1.0]]]
    silent = detect(block(rows), kind="instrument")
    assert (silent.abnormal.tolist(), silent.reason) == ([True], ("missing",))
    assert silent.evidence["q"].tolist() == [0.75]
    codes = np.zeros((1, 4, 2))
    codes[0, :2, 0] = Quality.OUT_OF_RANGE
    beyond = detect(block([[[900.0, 1.0]] * 4], codes), kind="instrument")
    assert (beyond.abnormal.tolist(), beyond.reason) == ([True], ("out-of-range",))


BELIEVED = {Quality.GOOD, Quality.HELD}


@pytest.mark.parametrize("code", sorted(set(Quality) - BELIEVED))
def test_every_fault_is_an_instrument_alarm_and_has_its_words(code: Quality) -> None:
    codes = np.zeros((1, 4, 2))
    codes[0, :3, 0] = code
    found = detect(block([[[900.0, 1.0]] * 4], codes), kind="instrument")
    name = code.name.lower().replace("_", "-")
    assert (found.abnormal.tolist(), found.reason) == ([True], (name,))
    assert name in REASONS


@pytest.mark.parametrize("code", sorted(set(Quality) - BELIEVED))
def test_a_value_that_cannot_be_believed_is_no_measurement(code: Quality) -> None:
    codes = np.zeros((1, 4, 2))
    codes[0, :, 0] = code
    found = detect(block([[[900.0, 1.0]] * 4], codes), kind="limit", signal="p", high=5)
    assert np.isnan(found.score).all()
    assert found.reason == ("too-few-rows",)


def test_near() -> None:
    #            0  1  2  3  4  5  6  7
    hits = np.array([[0, 0, 0, 1, 0, 0, 0, 0]], bool)
    times: NDArray[np.int64] = np.arange(8)[None, :]
    assert near(times, hits, 1, 2).tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]]
