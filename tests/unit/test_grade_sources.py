"""A small part of `make grade`: what is gross is found, and of what is right nothing is told. Only
on what comes with the repository: rows of the rig after those that its rules are taken from, and
photos that no source of the held-out part has."""

from __future__ import annotations

import numpy as np
import pytest

from tests.grade import cameras as graded
from tests.grade import clocks, sensors, silences
from tests.grade.photos import shipped
from tests.grade.series import rig
from tests.simulation.scenery import Weather

SEED = 11
DAY: tuple[tuple[Weather, int], ...] = (
    ("day", 60),
    ("parked", 50),
    ("rain", 40),
    ("night", 40),
    ("lamp", 40),
)


@pytest.mark.parametrize("number", [0, 2])
def test_cameras(number: int) -> None:
    name, scenery = list(graded.cameras(shipped(), SEED))[number]
    untouched = graded.clean(name, scenery, DAY)
    assert untouched.finds == []
    assert {"moved", "blurred"} <= untouched.judges
    found = {
        (one.planted, one.size): one.after_s
        for one in graded.trials(name, scenery, weathers=("day",), sizes=graded.GROSS)
    }
    assert {size for _, size in found} == graded.GROSS
    assert [fault for fault, after in found.items() if after is None] == []


def test_a_frozen_picture_with_a_running_clock() -> None:
    name, scenery = next(graded.cameras(shipped(), SEED))
    for coding in ("fine", "coarse"):
        assert graded.froze(scenery, coding, frozen=True) is not None, name
        assert graded.froze(scenery, coding, frozen=False) is None


def test_sensors() -> None:
    told = {"stuck": 0, "jump": 0}
    planted: dict[str, list[bool]] = {}
    for number, one in enumerate(rig()):
        rules = sensors.rules_of(one)
        found = sensors.clean(one, rules).finds
        told = {kind: count + found[kind] for kind, count in told.items()}
        for trial in sensors.trials(one, rules, SEED + number):
            if trial.judged:
                key = f"{trial.planted} {trial.size}"
                planted.setdefault(key, []).append(trial.after_s is not None)
    # Some of the outlet meter's own pulses are higher than any in the history.
    assert told["stuck"] == 0 and told["jump"] <= 3
    sure = [key for key in planted if key.startswith(("stuck", "out-of-range"))]
    assert len(sure) == 4
    for fault in (*sure, "spike 2.5 times what it may", "step 2.5 times what it may"):
        assert all(planted[fault]), fault


def test_silences() -> None:
    for number, one in enumerate(list(rig())[:4]):
        arrivals = silences.Arrivals(one, SEED + number)
        assert silences.own(arrivals) == []
        found = list(silences.planted(arrivals, SEED + number))
        assert {size for size, _, _ in found} == set(silences.SHARES)
        for _, silent, after_us in found:
            assert (after_us is not None) == silent


@pytest.mark.parametrize("kind", (*clocks.WRONG, *clocks.RIGHT))
def test_clocks(kind: str) -> None:
    times_s = np.arange(3600, dtype=np.float64)
    found = [clocks.told(kind, times_s, SEED + number) is None for number in range(2)]
    assert found == [kind in clocks.RIGHT] * 2
