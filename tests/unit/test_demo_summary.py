"""What the demo calls found, missed and spurious."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.messages import Account, AlarmClass, Alert, Severity, Transition
from contracts.plant import read_plant
from vigia.demo.planting import EventKind
from vigia.demo.summary import Findings, Raising, Rules, compare, raisings, rules_of
from vigia.demo.truth import Planted, Pulse, Truth

S = 1_000_000
WATCHING = {
    EventKind.WITHDRAWAL: "theft",
    EventKind.LEVEL: "full",
    EventKind.INTERFACE: "water",
    EventKind.STUCK: "blind",
}
RULES = Rules(
    {"theft": 6 * S, "jump": 2 * S, "gauge": 6 * S, "full": 5 * S, "water": 5 * S, "blind": 5 * S},
    {kind: frozenset({rule}) for kind, rule in WATCHING.items()},
    frozenset({"jump"}),
)


def planted(start: int, end: int, asset: str = "a/1", kind: str = "withdrawal") -> Planted:
    return Planted(
        asset=asset,
        kind=EventKind(kind),
        start_us=start * S,
        end_us=end * S,
        ramp_s=1.0,
        size=0.1,
        split=0.5,
    )


def raised(
    at: float,
    asset: str = "a/1",
    rule: str = "theft",
    kind: str = "process",
    cleared: float | None = None,
) -> Raising:
    return Raising(
        f"{asset}/{rule}/{at}",
        f"{asset}/{rule}",
        asset,
        rule,
        AlarmClass(kind),
        Severity.WARNING,
        int(at * S),
        None if cleared is None else int(cleared * S),
        1.0,
        0.5,
        "",
    )


def judged(
    events: list[Planted], alarms: list[Raising], pulses: list[Pulse] | None = None, until: int = 90
) -> Findings:
    truth = Truth(
        seed=1,
        first_us=0,
        until_us=until * S,
        events=tuple(events),
        pulses=tuple(pulses or ()),
        account=Account(unit="reading", taken_in=0, gone_out=0, held=0),
    )
    return compare(truth, alarms, RULES)


@pytest.mark.parametrize(
    ("alarm", "found"),
    [
        (raised(20.0), True),
        (raised(25.0), True),
        (raised(36.0), True),
        (raised(36.1), False),
        (raised(19.9), False),
        (raised(25.0, asset="a/2"), False),
        (raised(25.0, kind="instrument"), False),
    ],
    ids=["at its start", "within", "last moment", "too late", "before", "elsewhere", "no theft"],
)
def test_one_alarm_for_one_withdrawal(alarm: Raising, found: bool) -> None:
    findings = judged([planted(20, 30)], [alarm])
    assert len(findings.missed) == (0 if found else 1)
    assert len(findings.spurious) == (0 if found else 1)


def test_rule_and_model_may_both_tell_of_one() -> None:
    findings = judged([planted(20, 30)], [raised(24.0), raised(26.0)])
    assert len(findings.found[0]) == 2
    assert not findings.missed
    assert not findings.spurious


def test_nothing_planted_nothing_raised() -> None:
    findings = judged([], [])
    assert (findings.due, findings.missed, findings.spurious) == ((), (), ())


def test_a_pump_change_excuses_no_alarm_and_asks_for_none() -> None:
    findings = judged([planted(20, 30, kind="pump-change")], [raised(25.0)])
    assert findings.due == ()
    assert len(findings.spurious) == 1
    assert findings.pump_changes == 1


def test_a_jump_of_the_meter_is_told_by_its_own_rule_alone() -> None:
    jump = Pulse(asset="a/1", start_us=40 * S, end_us=41 * S)
    own = raised(41.0, rule="jump", kind="instrument", cleared=44.0)
    findings = judged([], [own, raised(42.0)], [jump])
    assert [one.rule for one in findings.spurious] == ["theft"]
    assert (findings.pulses, findings.pulses_seen) == (1, 1)


def test_an_instrument_alarm_without_a_fault_is_spurious() -> None:
    findings = judged([], [raised(10.0, rule="jump", kind="instrument", cleared=60.0)])
    assert len(findings.spurious) == 1


def test_a_second_jump_while_the_alarm_stands_is_seen() -> None:
    jumps = [Pulse(asset="a/1", start_us=at * S, end_us=at * S) for at in (40, 42, 50)]
    own = raised(41.0, rule="jump", kind="instrument", cleared=45.0)
    findings = judged([], [own], jumps)
    assert findings.pulses_seen == 2
    assert not findings.spurious


def test_what_was_cut_short_is_not_due_but_its_alarm_is_no_fault() -> None:
    findings = judged([planted(20, 30), planted(60, 70)], [raised(24.0)], until=32)
    assert (findings.due, findings.missed, findings.spurious) == ((), (), ())


def test_each_kind_is_told_by_its_own_rules_alone() -> None:
    event = planted(20, 30, kind="level")
    right, wrong = raised(24.0, rule="full"), raised(24.0, rule="water")
    findings = judged([event], [right, wrong])
    assert findings.missed == ()
    assert findings.found == ((right,),)
    assert findings.spurious == (wrong,)


@pytest.mark.parametrize(("kind", "found"), [("instrument", True), ("process", False)])
def test_a_stuck_camera_is_an_instruments_fault(kind: str, found: bool) -> None:
    event = planted(20, 30, kind="stuck-camera")
    findings = judged([event], [raised(26.0, rule="blind", kind=kind)])
    assert bool(findings.missed) is not found


def alert(transition: Transition, at: int, activation: str = "x") -> Alert:
    return Alert(
        id=f"{activation}{transition}{at}",
        alarm="a/1/theft",
        activation=activation,
        asset="a/1",
        rule="theft",
        detector="loss",
        transition=transition,
        at_us=at,
        alarm_class=AlarmClass.PROCESS,
        severity=Severity.CRITICAL,
        score=0.1,
        threshold=0.01,
        detection=None,
    )


def test_raisings_of_alerts() -> None:
    alerts = [
        alert(Transition.RAISED, 5, "y"),
        alert(Transition.RAISED, 1),
        alert(Transition.RAISED, 1),
        alert(Transition.CLEARED, 3),
    ]
    assert [(one.activation, one.raised_us, one.cleared_us) for one in raisings(alerts)] == [
        ("x", 1, 3),
        ("y", 5, None),
    ]


def test_the_demo_plant_gives_each_rule_its_slack() -> None:
    file = Path("vigia/demo/plant.yaml")
    rules = rules_of(read_plant(file.read_text(encoding="utf-8"), str(file)))
    assert rules.pulse_rules == {"outlet-pulse"}
    assert rules.slack_us["theft"] == 6 * S
    assert rules.told_by == {
        EventKind.WITHDRAWAL: {"theft", "line-anomaly"},
        EventKind.DEFECT: {"tile-defect"},
        EventKind.LEVEL: {"overfill"},
        EventKind.INTERFACE: {"water-rises"},
        EventKind.STUCK: {"blind-camera"},
    }
