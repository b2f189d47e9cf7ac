"""What the planter knows of the rig's own faults, and what it writes down."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from contracts.messages import Account
from vigia.demo.planter import pulses_in
from vigia.demo.planting import EventKind
from vigia.demo.truth import Filmed, Planted, Truth


def test_stretches_of_a_jumping_meter() -> None:
    table = np.tile([2.0, 1.9, 1.0, 1.0], (12, 1))
    table[[3, 4, 8, 11], 1] = 4.0
    found = pulses_in({"a/1": table, "a/2": np.ones((12, 4))}, 11, 1_000_000)
    assert [(p.asset, p.start_us, p.end_us) for p in found] == [
        ("a/1", 1_300_000, 1_400_000),
        ("a/1", 1_800_000, 1_800_000),
    ]


def test_the_truth_is_read_as_it_was_written(tmp_path: Path) -> None:
    account = Account(unit="reading", taken_in=3, gone_out=2, held=1)
    truth = Truth(seed=7, first_us=1, until_us=2, events=(), pulses=(), account=account)
    file = tmp_path / "truth.json"
    truth.write(file)
    assert Truth.model_validate_json(file.read_bytes()) == truth
    assert [one.name for one in tmp_path.iterdir()] == ["truth.json"]


def test_planter_and_cameras_are_told_together() -> None:
    def event(kind: EventKind, at: int) -> Planted:
        return Planted(
            asset="a/1", kind=kind, start_us=at, end_us=at + 1, ramp_s=0.0, size=0.1, split=0.0
        )

    account = Account(unit="reading", taken_in=0, gone_out=0, held=0)
    theft, stuck = event(EventKind.WITHDRAWAL, 7), event(EventKind.STUCK, 3)
    truth = Truth(seed=7, first_us=1, until_us=20, events=(theft,), pulses=(), account=account)
    both = truth.beside(Filmed(until_us=19, events=(stuck,), shown=5))
    assert (both.first_us, both.until_us) == (1, 19)
    assert both.events == (stuck, theft)
