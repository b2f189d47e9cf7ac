"""Readings that cannot be what they measure: stuck, jumping, by a wrong clock; and what comes of
them at the edge."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.plant.model import Signal
from contracts.readings import Quality
from edge.core.judge import Judge, judge_of
from edge.core.stamps import SourceClock
from tests.unit.test_edge_intake import T0, S, intake, message, write_all

STUCK, JUMP, CLOCK = Quality.STUCK, Quality.JUMP, Quality.CLOCK


def judged(values: Iterable[float], every_s: float = 1.0, **rules: Any) -> str:
    """A letter a reading: g(ood), s(tuck) or j(ump)."""
    judge = Judge(Signal.model_validate({"id": "x", "topic": "x", **rules}))
    codes = [judge.judge(int(at * every_s * S), value) for at, value in enumerate(values)]
    return "".join({0: "g", STUCK: "s", JUMP: "j"}[code] for code in codes)


def test_without_rules_there_is_no_judge() -> None:
    assert judge_of(Signal(id="x", topic="x")) is None


def test_what_stands_still_is_stuck_after_its_time_and_until_it_changes() -> None:
    assert judged([1, 2, 2, 2, 2, 2, 3, 3], stuck={"after": "3s"}) == "ggggssgg"


def test_changes_within_the_resolution_are_none_but_they_may_not_add_up() -> None:
    rule = {"after": "3s", "within": 0.1}
    assert judged([2, 2.1, 2, 2.1, 2.05], stuck=rule) == "gggss"
    assert judged([2, 2.08, 2.16, 2.24, 2.32, 2.4], stuck=rule) == "gggggg"


def test_at_rest_it_may_stand_still() -> None:
    assert judged([0.0] * 9, stuck={"after": "3s", "rest": [-0.1, 0.1]}) == "g" * 9
    assert judged([5.0] * 5, stuck={"after": "3s", "rest": [-0.1, 0.1]}) == "gggss"


def test_coming_back_with_the_same_value_is_not_stuck() -> None:
    assert judged([7, 7, 7], every_s=3600, stuck={"after": "10min"}) == "ggs"


def test_a_spike_is_one_bad_reading() -> None:
    assert judged([5, 5.1, 99, 5, 5.2], jump={"rate": 0.5}) == "ggjgg"


def test_a_step_is_told_and_then_believed() -> None:
    rule = {"rate": 0.1, "step": 1, "settle": "3s"}
    assert judged([5, 5, 50, 50.5, 50, 50, 50], jump=rule) == "ggjjjgg"


def test_values_that_follow_neither_are_never_believed() -> None:
    rule = {"rate": 0.01, "step": 1, "settle": "3s"}
    assert judged([5, *[20, 40] * 8], jump=rule) == "g" + "j" * 16


def test_what_may_change_so_fast_is_no_jump_and_a_gap_gives_it_time() -> None:
    assert judged([0, 1, 2, 3], jump={"rate": 1}) == "gggg"
    assert judged([0, 50], every_s=60, jump={"rate": 1}) == "gg"


def test_an_older_reading_is_not_judged() -> None:
    judge = Judge(Signal.model_validate({"id": "x", "topic": "x", "jump": {"rate": 1}}))
    times = (10, 12, 11, 13)
    assert [
        judge.judge(at * S, value) for at, value in zip(times, (0, 1, 500, 2), strict=True)
    ] == [
        0,
        0,
        0,
        0,
    ]


@given(st.lists(st.floats(-1e6, 1e6), max_size=40))
def test_a_signal_that_follows_its_rule_is_never_told(steps: list[float]) -> None:
    values, value = [0.0], 0.0
    for step in steps:
        value += max(-1.0, min(1.0, step))
        values.append(value)
    assert set(judged(values, jump={"rate": 1.001})) == {"g"}


def clock(offs_s: Iterable[float], every_s: float = 10.0) -> str:
    """A letter a message that came so far behind (negative) or ahead of its time: b(elieved)
    or n(ot)."""
    judge = SourceClock(30 * S)
    arrivals = (T0 + int(at * every_s * S) for at in range(10**6))
    told = [
        judge.believes(at + int(off * S), at) for off, at in zip(offs_s, arrivals, strict=False)
    ]
    return "".join("b" if believed else "n" for believed in told)


def test_a_clock_ahead_is_not_believed_until_it_is_well_within() -> None:
    assert clock([0, 29, 31, 29, 16, 15, 29]) == "bbnnnbb"


def test_a_clock_behind_is_told_when_nothing_catches_up() -> None:
    assert clock([0, *[-120] * 9, 0], every_s=5.0) == "b" * 11
    assert clock([0, *[-120] * 15, 0], every_s=5.0) == "b" + "b" * 12 + "nnn" + "b"


def test_of_a_slow_signal_a_few_that_were_late_in_a_row_are_believed() -> None:
    assert clock([0, *[-300] * 9, 0], every_s=3600.0) == "b" * 11
    assert clock([0, *[-300] * 11, 0], every_s=3600.0) == "b" * 10 + "nn" + "b"


def test_what_was_long_on_its_way_is_believed() -> None:
    assert set(clock([-600 + 10 * at for at in range(60)])) == {"b"}
    assert set(clock([-1, -600] * 20)) == {"b"}


def test_a_drift_is_told_once_it_is_too_much() -> None:
    assert clock([at for at in range(40)]) == "b" * 31 + "n" * 9


def test_a_wrong_year_is_stamped_by_arrival_and_closes_nothing() -> None:
    edge = intake(skew="30s")
    far_us = 4_070_908_800 * S
    for name in ("x", "y"):
        edge.receive(message(f"a/{name}", far_us, 5.0, now_us=T0))
    for name in ("x", "y"):
        edge.receive(message(f"a/{name}", T0 + S, 6.0, now_us=T0 + S))
    rows = {
        time: codes.tolist()
        for batch in write_all(edge, T0 + 9 * S)
        for time, codes in zip(batch.times_us.tolist(), batch.quality, strict=True)
    }
    assert rows == {T0: [CLOCK, CLOCK], T0 + S: [0, 0]}
    assert edge.take_letters() == []


def test_without_a_skew_a_wrong_year_is_a_dead_letter() -> None:
    edge = intake()
    edge.receive(message("a/x", 4_070_908_800 * S, 5.0, now_us=T0))
    assert [letter.error.reason for letter in edge.take_letters()] == ["future"]


@pytest.mark.parametrize(
    ("values", "state", "why"),
    [
        ([5, 5, 5, 5, 5, 5], "stuck", "stands still at 5"),
        ([5, 6, 7, 80, 8], "jump", "80 is further than it can go"),
        ([5, 6, 7, 800], "out-of-range", "800 is outside (0.0, 100.0)"),
    ],
)
def test_a_signal_that_lies_is_said_and_keeps_its_value(
    values: list[float], state: str, why: str
) -> None:
    signals = [
        {"id": name, "topic": f"{{asset}}/{name}", "time": "/t", "time_format": "us"}
        | {"range": [0, 100], "stuck": {"after": "4s"}, "jump": {"rate": 2}}
        for name in ("x", "y")
    ]
    edge = intake(signals=signals)
    for at, value in enumerate(values):
        edge.receive(message("a/x", T0 + at * S, value))
        edge.receive(message("a/y", T0 + at * S, float(at)))
    changes = [str(change) for change in edge.look(T0 + len(values) * S)]
    assert any(f"s/a x: {state} (was waiting): " in line and why in line for line in changes)
    assert {one.signal: one.state for one in edge.sources()} == {"x": state, "y": "ok"}
    (last,) = write_all(edge, T0 + 60 * S)
    assert last.values[:, 0].tolist() == values
    assert Quality[state.upper().replace("-", "_")] in last.quality[:, 0].tolist()


def test_a_held_value_is_never_one_that_was_not_believed() -> None:
    signals = [
        {"id": "x", "topic": "{asset}/x", "time": "/t", "time_format": "us", "jump": {"rate": 1}},
        {"id": "y", "topic": "{asset}/y", "time": "/t", "time_format": "us"},
    ]
    edge = intake(signals=signals, rows={"by": "exact", "missing": "hold", "hold": "1min"})
    for at, value in enumerate((5.0, 900.0, None)):
        if value is not None:
            edge.receive(message("a/x", T0 + at * S, value))
        edge.receive(message("a/y", T0 + at * S, 1.0))
    edge.receive(message("a/y", T0 + 9 * S, 1.0))
    found = write_all(edge, T0 + 60 * S)
    codes = [code for batch in found for code in batch.quality[:, 0].tolist()]
    held = [value for batch in found for value in batch.values[:, 0].tolist()]
    assert codes[:3] == [Quality.GOOD, JUMP, Quality.HELD]
    assert held[2] == 5.0
