"""The demo's plans: what is drawn fits, is repeatable, and is what the rows show."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigia.demo.planting import (
    GAP_ROWS,
    MOST_AN_ASSET,
    QUIET_S,
    Event,
    EventKind,
    Plan,
    PlantingError,
    draw,
    room,
    rows,
)
from vigia.demo.recording import Recording, recordings

ASSETS = {f"whut/pumps-{pumps}": 2400 + 100 * pumps for pumps in range(1, 6)}
SEEDS = st.integers(0, 2**32 - 1)


def flat(asset: str = "whut/pumps-1", length: int = 5000) -> Recording:
    """Constant rows; the law's k is 0.25, so that sums are exact enough to read off."""
    return Recording(asset, np.tile([2.0, 1.9, 1.0, 0.9], (length, 1)))


@st.composite
def plans(draws: st.DrawFn) -> Plan:
    seconds = draws(st.integers(2 * QUIET_S, 400))
    most = room(seconds) * len(ASSETS)
    n_events = draws(st.integers(0, most))
    return draw(draws(SEEDS), n_events, seconds, ASSETS, draws(st.integers(0, 20)))


@given(plans())
def test_events_lie_within_and_apart(plan: Plan) -> None:
    for asset in ASSETS:
        mine = [event for event in plan.events if event.asset == asset]
        withdrawals = [event for event in mine if event.kind is EventKind.WITHDRAWAL]
        assert len(withdrawals) <= MOST_AN_ASSET
        assert len(mine) - len(withdrawals) <= 1
        for event in mine:
            assert QUIET_S <= event.start_s < event.end_s <= plan.seconds - QUIET_S
        for earlier, later in pairwise(mine):
            assert later.start_s - earlier.end_s >= GAP_ROWS / 10 - 1e-9


@given(plans())
def test_events_are_of_the_promised_kinds(plan: Plan) -> None:
    for event in plan.events:
        hold_s = event.end_s - event.start_s - 2 * event.ramp_s
        if event.kind is EventKind.WITHDRAWAL:
            assert 0.03 <= event.size <= 0.15
            assert 0.0 <= event.split <= 1.0
            assert 0.5 <= event.ramp_s <= 3.0
            assert hold_s >= 8.0 - 1e-9
        else:
            assert 0.05 <= abs(event.size) <= 0.15
            assert 1.0 <= event.ramp_s <= 4.0
            assert hold_s >= 2.0 - 1e-9


@given(SEEDS, st.integers(0, 10))
def test_the_demo_s_ninety_seconds_hold_ten_and_always_a_pump_change(seed: int, n: int) -> None:
    plan = draw(seed, n, 90, ASSETS)
    assert len(plan.truth) == n
    assert any(event.kind is EventKind.PUMP_CHANGE for event in plan.events)
    assert all(start + 900 <= ASSETS[asset] for asset, start in plan.offsets.items())


@pytest.mark.parametrize(
    ("n", "seconds", "most"), [(11, 90, 10), (6, 40, 5), (1, 38, 0), (1, 10, 0), (-1, 90, 10)]
)
def test_too_many_events_say_how_many_fit(n: int, seconds: int, most: int) -> None:
    with pytest.raises(PlantingError, match=f"at most {most} do"):
        draw(1, n, seconds, ASSETS)


def test_a_seed_is_a_plan_and_another_is_another() -> None:
    assert draw(1, 4, 90, ASSETS) == draw(1, 4, 90, ASSETS)
    assert len({draw(seed, 4, 90, ASSETS).events for seed in range(50)}) == 50


def test_all_assets_kinds_and_sizes_are_drawn() -> None:
    events = [event for seed in range(200) for event in draw(seed, 4, 90, ASSETS).events]
    for kind in (EventKind.WITHDRAWAL, EventKind.PUMP_CHANGE):
        drawn = [event for event in events if event.kind is kind]
        assert {event.asset for event in drawn} == set(ASSETS)
        sizes = [abs(event.size) for event in drawn]
        assert min(sizes) < 0.06 and max(sizes) > 0.14


def test_rounds_follow_each_other_without_a_break() -> None:
    first, second = (draw(3, 0, 90, ASSETS, round_) for round_ in (0, 1))
    for asset, length in ASSETS.items():
        assert second.offsets[asset] == (first.offsets[asset] + 900) % length
    assert draw(3, 4, 90, ASSETS).events != draw(3, 4, 90, ASSETS, 1).events


@given(plans(), st.integers(0, 1000), st.lists(st.integers(0, 200), max_size=6))
def test_rows_do_not_depend_on_how_they_are_asked_for(
    plan: Plan, start: int, sizes: list[int]
) -> None:
    rng = np.random.default_rng(start)
    recording = Recording("whut/pumps-2", rng.uniform(1.0, 2.0, (6500, 4)))
    whole = rows(plan, recording, start, sum(sizes))
    parts, at = [np.empty((0, 4))], start
    for size in sizes:
        parts.append(rows(plan, recording, at, size))
        at += size
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def planned(event: Event) -> Plan:
    return Plan(0, 0, 90, {event.asset: 0}, (event,))


def test_a_withdrawal_is_split_between_the_meters_and_pressure_follows() -> None:
    event = Event("whut/pumps-1", EventKind.WITHDRAWAL, 20.0, 40.0, 2.0, 0.10, 0.25)
    found = rows(planned(event), flat(), 0, 900)
    full, half = found[300], found[210]
    assert full[:2] == pytest.approx([2.0 * 1.025, 1.9 * 0.925])
    assert half[:2] == pytest.approx([2.0 * 1.0125, 1.9 * 0.9625], abs=1e-6)
    assert full[2:] == pytest.approx([1.025**2, 0.9 * 0.925**2], abs=1e-6)
    quiet = [2.0, 1.9, 1.0, 0.9]
    assert found[200].tolist() == found[400].tolist() == found[899].tolist() == quiet


@pytest.mark.parametrize("size", [-0.15, 0.12])
def test_a_pump_change_changes_no_ratio(size: float) -> None:
    event = Event("whut/pumps-1", EventKind.PUMP_CHANGE, 20.0, 40.0, 1.0, size, 0.0)
    found = rows(planned(event), flat(), 0, 900)
    assert found[300, 0] == pytest.approx(2.0 * (1 + size))
    np.testing.assert_allclose(found[:, 1] / found[:, 0], 0.95, atol=1e-6)
    np.testing.assert_allclose(found[:, 2] / found[:, 0] ** 2, 0.25, atol=2e-6)


def test_the_replay_starts_again_at_the_first_held_out_row() -> None:
    recording = Recording("whut/pumps-1", np.arange(400.0).reshape(100, 4))
    plan = Plan(0, 0, 90, {"whut/pumps-1": 38}, ())
    assert recording.cut == 60
    assert rows(plan, recording, 0, 3)[:, 0].tolist() == [392.0, 396.0, 240.0]


def test_the_shipped_recording() -> None:
    found = recordings()
    lengths = {asset: len(one.rows) for asset, one in found.items()}
    assert lengths == {
        "whut/pumps-1": 6548,
        "whut/pumps-2": 6140,
        "whut/pumps-3": 6383,
        "whut/pumps-4": 7763,
        "whut/pumps-5": 7154,
    }
    for one in found.values():
        assert np.isfinite(one.rows).all() and (one.rows > 0).all()
        assert len(one.held_out) == len(one.rows) - int(0.6 * len(one.rows))
