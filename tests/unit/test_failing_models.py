"""A model that fails costs the windows and frames at which it fails, and nothing else."""

from __future__ import annotations

import asyncio
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import TypeAdapter

from contracts.errors import MemoryExceeded, ModelError
from contracts.plant.detectors import Autoencoder
from contracts.plant.detectors import Detector as Section
from stream.adapters.memory import MemoryBound
from stream.adapters.model_faults import SAY_AGAIN_US, ModelFaults
from stream.adapters.onnx_package import load_package
from stream.core.autoencoder import AutoencoderDetector
from stream.core.culprits import culprits
from tests.conformance.detector_kit import sample
from tests.conformance.test_detectors import ASSETS, MODELS, SIGNALS


@given(st.integers(0, 70), st.sets(st.integers(0, 69)))
def test_those_and_only_those_that_fail_by_themselves_are_found(count: int, bad: set[int]) -> None:
    done: set[int] = set()

    def run(part: slice) -> None:
        places = set(range(part.start, part.stop))
        if places & bad:
            raise ModelError("no")
        done.update(places)

    assert culprits(run, 0, count) == sorted(bad & set(range(count)))
    assert done == set(range(count)) - bad


def test_a_window_at_which_the_model_fails_is_not_measured_and_all_others_are() -> None:
    body = {"id": "m", "kind": "autoencoder", "window": {"width": "3s", "hop": "500ms"}}
    section = TypeAdapter(Section).validate_python(body | {"package": "whut-lstm"})
    assert isinstance(section, Autoencoder)
    package = load_package(MODELS / section.package)
    well = AutoencoderDetector(section, package.manifest, package.score)
    block = sample(well, SIGNALS, ASSETS, 3)
    expected = well.detect(block)
    measured = np.flatnonzero(np.isfinite(expected.score))
    assert len(measured) > 1
    seen: list[NDArray[np.float32]] = []

    def remember(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        seen.append(x)
        return package.score(x)

    AutoencoderDetector(section, package.manifest, remember).detect(block)
    hated = seen[0][1]

    def fails(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if (x == hated).all(axis=(1, 2)).any():
            raise ModelError("not that one")
        return package.score(x)

    found = AutoencoderDetector(section, package.manifest, fails).detect(block)
    bad = np.array([reason == "model-failed" for reason in found.reason])
    assert measured[1] in np.flatnonzero(bad) and not bad.all()
    assert np.isnan(found.score[bad]).all() and not found.abnormal[bad].any()
    assert np.array_equal(found.score[~bad], expected.score[~bad], equal_nan=True)


def test_a_failing_model_is_told_once_a_minute_and_in_the_status(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0
    faults = ModelFaults(lambda: now)

    def score(x: int) -> int:
        if x < 0:
            raise ModelError("no number")
        return x

    told = faults.telling("leaks", score)
    assert told(3) == 3 and faults.notes() == ()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(ModelError):
                told(-1)
        assert faults.notes() == ("a model fails: what it fails at is not measured",)
        now = SAY_AGAIN_US
        assert faults.notes() == ()
        with pytest.raises(ModelError):
            told(-1)
    assert [record.getMessage() for record in caplog.records] == [
        "detector leaks: no number; what it fails at is not measured"
    ] * 2


def test_a_process_that_grows_is_ended() -> None:
    sizes = iter([100, 200, 300, 301])
    bound = MemoryBound(300, lambda: next(sizes), look_s=0)
    with pytest.raises(MemoryExceeded) as raised:
        asyncio.run(bound.watch())
    assert raised.value.retriable
    assert list(sizes) == []
