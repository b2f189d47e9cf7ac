"""The life of an alarm, and that applying detections again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.identity import detection_id
from contracts.messages import (
    AlarmState,
    Alert,
    Detection,
    DetectionBatch,
    Phase,
    Transition,
    Verdict,
)
from contracts.plant import read_plant
from contracts.plant.model import Plant
from stream.core.alarms import Alarms

SECOND = 1_000_000
LIMIT = 10.0


def plant(on: str = "0s", off: str = "0s", deadband: float = 0.0) -> Plant:
    return read_plant(f"""
vigia: 1
sites: [{{id: s, assets: [{{id: a, signals: x}}]}}]
signal_sets: {{x: {{signals: [{{id: p, topic: t}}]}}}}
detectors:
  - {{id: high, kind: limit, window: {{width: 1s, hop: 1s}}, signal: p, high: 1}}
alarms:
  - {{id: too-high, detector: high, on_delay: {on}, off_delay: {off}, deadband: {deadband}}}
""")


def batch(scores: Sequence[float | None], first: int = 0) -> DetectionBatch:
    items = []
    for at, score in enumerate(scores, first):
        verdict = Verdict.NOT_MEASURED
        if score is not None:
            verdict = Verdict.ABNORMAL if score > LIMIT else Verdict.NORMAL
        start, end = at * SECOND, (at + 1) * SECOND
        items.append(
            Detection(
                id=detection_id("s/a", "high", start, end),
                start_us=start,
                end_us=end,
                verdict=verdict,
                score=score,
                threshold=LIMIT,
            )
        )
    return DetectionBatch.of(items, asset="s/a", detector="high", kind="limit", plant="p")


def story(alerts: Sequence[Alert]) -> list[tuple[str, int]]:
    return [(alert.transition.value, alert.at_us // SECOND) for alert in alerts]


#     seconds        1  2  3  4  5  6  7  8
CASES = [
    ("at once", {}, [1, 11, 12, 1, 1], [("raised", 2), ("cleared", 4)]),
    ("waits", {"on": "2s"}, [11, 11, 11, 11], [("raised", 3)]),
    ("too short", {"on": "2s"}, [11, 11, 1, 11, 11, 1], []),
    ("clears late", {"off": "2s"}, [11, 1, 1, 1, 1], [("raised", 1), ("cleared", 4)]),
    ("comes back", {"off": "2s"}, [11, 1, 1, 11, 1, 1, 1], [("raised", 1), ("cleared", 7)]),
    ("deadband", {"deadband": 0.2}, [11, 9, 8.1, 7.9], [("raised", 1), ("cleared", 4)]),
    ("unmeasured holds", {"off": "1s"}, [11, None, None, 1, 1], [("raised", 1), ("cleared", 5)]),
    ("unmeasured is no alarm", {}, [None, None, 1], []),
    ("twice", {}, [11, 1, 11, 1], [("raised", 1), ("cleared", 2), ("raised", 3), ("cleared", 4)]),
]


@pytest.mark.parametrize(("rule", "scores", "expected"), [c[1:] for c in CASES], ids=lambda _: "")
def test_life(
    rule: dict[str, str], scores: list[float | None], expected: list[tuple[str, int]]
) -> None:
    alarms = Alarms(plant(**rule))  # type: ignore[arg-type]
    alerts, _ = alarms.apply(batch(scores))
    assert story(alerts) == expected


def test_all_transitions_of_one_raising_share_its_name() -> None:
    alarms = Alarms(plant())
    alerts, states = alarms.apply(batch([11, 1, 12, 14]))
    first, second, third = alerts
    assert first.activation == second.activation != third.activation
    assert len({alert.id for alert in alerts}) == 3
    (state,) = states
    assert (state.phase, state.activation, state.activations) == (
        Phase.ACTIVE,
        third.activation,
        2,
    )
    assert (state.score, state.peak, state.raised) == (12, 14, True)


def test_of_two_states_the_one_that_applied_more_counts() -> None:
    alarms = Alarms(plant())
    _, (older,) = alarms.apply(batch([11]))
    _, (newer,) = alarms.apply(batch([1], first=1))
    for states in ([older, newer], [newer, older]):
        alarms.assign(states)
        alerts, _ = alarms.apply(batch([1], first=1))
        assert not alerts, "the zombie's older state was taken"


scores = st.lists(st.one_of(st.none(), st.floats(0, 20)), min_size=1, max_size=40)
delays = st.sampled_from(["0s", "1s", "3s"])


@given(scores, delays, delays, st.sampled_from([0.0, 0.3]), st.data())
@settings(max_examples=500, deadline=None)
def test_crashes_change_nothing(
    values: list[float | None], on: str, off: str, deadband: float, data: st.DataObject
) -> None:
    """Alerts, then state, then the commit: cut anywhere, the outcome is the same."""
    setting = plant(on, off, deadband)
    reference = Alarms(setting)
    expected, last = reference.apply(batch(values))
    wanted = {alert.id: alert for alert in expected}

    store: list[AlarmState] = []
    seen: dict[str, Alert] = {}
    at = committed = crashes = 0
    alarms = Alarms(setting)
    while at < len(values):
        size = data.draw(st.integers(1, 5))
        alerts, states = alarms.apply(batch(values[at : at + size], first=at))
        at = min(at + size, len(values))
        end = data.draw(st.sampled_from(["done"] * 4 + ["before", "between", "uncommitted"]))
        if crashes > 10:
            end = "done"
        if end != "before":
            for alert in alerts:
                assert seen.setdefault(alert.id, alert) == alert
        if end in ("done", "uncommitted"):
            store += states
        if end == "done":
            committed = at
        else:
            crashes += 1
            alarms, at = Alarms(setting), committed
            alarms.assign(store)
    assert seen == wanted
    final = max(store, key=lambda state: state.applied_us, default=None)
    if final is not None and last:
        assert final == last[-1]


def test_every_detection_is_accounted_for() -> None:
    alarms = Alarms(plant())
    alarms.apply(batch([1, 11, 1]))
    alarms.apply(batch([11, 1, 2], first=1))
    account = alarms.accounts()["stream.alarms"]
    assert (account.taken_in, account.gone_out, account.dropped) == (6, 4, {"repeated": 2})
    assert account.missing == 0


def test_a_detector_without_a_rule_raises_nothing() -> None:
    alarms = Alarms(plant())
    other = batch([11]).model_copy(update={"detector": "other"})
    assert alarms.apply(other) == ([], [])


def test_raised_names_its_cause() -> None:
    alerts, _ = Alarms(plant()).apply(batch([11]))
    (alert,) = alerts
    assert alert.transition is Transition.RAISED
    assert alert.detection == detection_id("s/a", "high", 0, SECOND)
    assert (alert.score, alert.threshold) == (11, LIMIT)


def told(
    *parts: tuple[bool, Sequence[float | None]], on: str = "0s"
) -> tuple[Alarms, list[Alert], list[AlarmState]]:
    """Detections one after the other, in parts that are a backfill or none."""
    alarms, first = Alarms(plant(on=on)), 0
    alerts: list[Alert] = []
    states: list[AlarmState] = []
    for backfill, scores in parts:
        marked = batch(scores, first).model_copy(update={"backfill": backfill})
        first += len(scores)
        happened, changed = alarms.apply(marked)
        alerts += happened
        states += changed
    return alarms, alerts, states


#     what                            backfill, then live   (transition, second, backfill)
PAST = [
    ("over", [11, 11, 1], [1], [("raised", 1, True), ("cleared", 3, True)]),
    ("over as live begins", [11, 11], [1], [("raised", 1, True), ("cleared", 3, True)]),
    (
        "still holds",
        [11, 11],
        [None, 11, 11, 1],
        [("raised", 1, True), ("raised", 4, False), ("cleared", 6, False)],
    ),
]


@pytest.mark.parametrize(
    ("past", "live", "expected"), [c[1:] for c in PAST], ids=[c[0] for c in PAST]
)
def test_nobody_is_woken_for_what_is_past_but_for_what_holds(
    past: list[float | None], live: list[float | None], expected: list[tuple[str, int, bool]]
) -> None:
    _, alerts, states = told((True, past), (False, live))
    assert [(a.transition.value, a.at_us // SECOND, a.backfill) for a in alerts] == expected
    assert len({alert.activation for alert in alerts}) == 1
    assert len({alert.id for alert in alerts}) == len(alerts)
    assert states[-1].activations == 1


def test_an_alarm_that_was_told_is_cleared_for_all_to_hear() -> None:
    _, alerts, _ = told((False, [11]), (True, [11, 1]))
    assert [a.backfill for a in alerts] == [False, False]


def test_what_began_in_the_past_and_is_raised_now_is_live() -> None:
    _, alerts, _ = told((True, [11, 11]), (False, [11, 11]), on="3s")
    assert [(a.transition.value, a.backfill) for a in alerts] == [("raised", False)]


def test_told_once_more_only_once_also_after_a_crash() -> None:
    alarms, _, states = told((True, [11, 11]), (False, [11, 11]))
    again = Alarms(alarms.plant)
    again.assign(states)
    marked = batch([11, 11]).model_copy(update={"backfill": True})
    assert again.apply(marked)[0] == []
    assert again.apply(batch([11, 11, 11], 2))[0] == []
