"""Reading simulated tanks, whose truth is known; the seeds are not those of development."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from stream.core.thermal import TankReading, analyse
from tests.simulation.tanks import Kind, Scene, scene

FIRST, TANKS = 10_000, 200


def read(seeds: range, kind: Kind = "layers") -> list[tuple[Scene, TankReading]]:
    scenes = (scene(seed, kind) for seed in seeds)
    return [(one, analyse(one.image, one.tank)) for one in scenes]


@functools.cache
def mixed() -> tuple[list[float], list[float]]:
    """Reliability and the largest error, of those tanks from easy to hard that are read."""
    reliability, worst = [], []
    for index in range(TANKS):
        one = scene(FIRST + 5_000 + index, difficulty=index / (TANKS - 1))
        reading = analyse(one.image, one.tank)
        if not reading.reason:
            reliability.append(reading.reliability)
            worst.append(error(one, reading))
    return reliability, worst


def error(one: Scene, reading: TankReading) -> float:
    """The largest error of the level and the interfaces, % of the height; 100 where unread."""
    if reading.reason:
        return 100.0
    return max(abs(a.top - b) for a, b in zip(reading.layers, one.tops, strict=True))


def spearman(a: list[float], b: list[float]) -> float:
    first, second = (np.argsort(np.argsort(one)) for one in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def test_level_and_interfaces_are_within_3_percent() -> None:
    errors = [error(*pair) for pair in read(range(FIRST, FIRST + TANKS))]
    assert np.mean(np.array(errors) <= 3) >= 0.9
    assert np.median(errors) <= 0.2


@pytest.mark.parametrize("kind", ["one-layer", "noise", "saturated"])
def test_what_is_not_shown_is_never_read(kind: Kind) -> None:
    found = read(range(FIRST, FIRST + 60), kind)
    assert all(reading.reason and np.isnan(reading.level) for _, reading in found)


def test_reliability_falls_with_the_error() -> None:
    reliability, worst = mixed()
    assert len(worst) >= 0.8 * TANKS
    assert spearman(reliability, worst) <= -0.5


def test_what_is_relied_on_is_right() -> None:
    reliability, worst = mixed()
    sure = np.array(reliability) >= 80
    assert np.mean(np.array(worst)[sure] <= 3) >= 0.9
    assert np.mean(np.array(worst)[sure] > 3) < np.mean(np.array(worst)[~sure] > 3) / 2
