"""Alarms under another plant file: severities, what is no longer watched, and crashes meanwhile."""

from __future__ import annotations

from contracts.messages import Alert, Phase, Severity, Transition
from contracts.plant.model import Plant
from contracts.texts import describe
from stream.core.alarms import Alarms
from tests.unit.test_alarms import SECOND, batch, plant

NOW = 1_000 * SECOND


def severe(how: Severity) -> Plant:
    made = plant()
    return made.model_copy(
        update={"alarms": (made.alarms[0].model_copy(update={"severity": how}),)}
    )


def story(alerts: list[Alert]) -> list[tuple[str, str, int]]:
    return [(one.transition.value, one.severity.value, one.at_us // SECOND) for one in alerts]


def raised(by: Plant) -> Alarms:
    alarms = Alarms(by)
    assert [one.transition for one in alarms.apply(batch([11]))[0]] == [Transition.RAISED]
    return alarms


def renewed(alarms: Alarms, by: Plant) -> Alarms:
    """After a change that a worker goes through, or dies of: the states come from their topic."""
    states = list(alarms._states.values())
    alarms.become(by)
    alarms.assign(states)
    return alarms


def test_an_alarm_that_stands_gets_its_new_severity_with_the_next_detection() -> None:
    alarms = renewed(raised(severe(Severity.WARNING)), severe(Severity.CRITICAL))
    alerts, states = alarms.apply(batch([12, 12], 1))
    assert story(alerts) == [("escalated", "critical", 2)]
    assert (states[0].severity, states[0].phase) == (Severity.CRITICAL, Phase.ACTIVE)
    again = renewed(alarms, severe(Severity.CRITICAL))
    assert again.apply(batch([12], 1))[0] == [], "told twice"
    alarms = renewed(again, severe(Severity.INFO))
    assert story(alarms.apply(batch([12, 1], 3))[0]) == [
        ("revised", "info", 4),
        ("cleared", "info", 5),
    ]


def test_an_alarm_that_is_quiet_is_told_nothing() -> None:
    alarms = raised(severe(Severity.WARNING))
    alarms.apply(batch([1], 1))
    alarms = renewed(alarms, severe(Severity.CRITICAL))
    assert alarms.apply(batch([1, 1], 2)) == ([], [])
    assert story(alarms.apply(batch([11], 4))[0]) == [("raised", "critical", 5)]


def without_rule() -> Plant:
    return plant().model_copy(update={"alarms": ()})


def elsewhere() -> Plant:
    """The detector looks at other assets."""
    made = plant()
    detector = made.detectors[0].model_copy(update={"assets": ("s/b",)})
    return made.model_copy(update={"detectors": (detector,)})


def test_what_nothing_watches_any_more_is_cleared_and_says_why() -> None:
    for new in (without_rule(), elsewhere()):
        alarms = renewed(raised(plant()), new)
        alerts, states = alarms.settle_unwatched(NOW)
        assert story(alerts) == [("cleared", "warning", 1_000)]
        assert describe(alerts[0]) == (
            "s/a: cleared: nothing watches it any more, by the plant file"
        )
        assert describe(alerts[0], "es").startswith("s/a: despejada: según el archivo de planta")
        assert (states[0].phase, states[0].cleared_us) == (Phase.NORMAL, NOW)
        assert alarms.settle_unwatched(NOW) == ([], [])
        # Detections of the old detectors may still be on their way.
        assert alarms.apply(batch([11, 11], 5)) == ([], [])


def test_told_again_after_a_crash_it_is_the_same_alert() -> None:
    states = list(raised(plant())._states.values())
    told = []
    for now_us in (NOW, NOW + SECOND):
        alarms = Alarms(without_rule())
        alarms.assign(states)
        told += alarms.settle_unwatched(now_us)[0]
    assert told[0].id == told[1].id


def test_the_cleared_state_is_the_newest_one_and_the_alarm_may_be_raised_again() -> None:
    alarms = renewed(raised(plant()), without_rule())
    before = list(alarms._states.values())
    _, cleared = alarms.settle_unwatched(NOW)
    back = Alarms(plant())
    back.assign([*before, *cleared])
    alerts, _ = back.apply(batch([1, 11], 1))
    assert story(alerts) == [("raised", "warning", 3)]


def test_what_only_waited_is_dropped_in_silence() -> None:
    waits = plant(on="5s")
    alarms = Alarms(waits)
    alarms.apply(batch([11]))
    alarms = renewed(alarms, without_rule())
    alerts, states = alarms.settle_unwatched(NOW)
    assert alerts == []
    assert [state.phase for state in states] == [Phase.NORMAL]


def test_what_is_watched_stays_as_it_is() -> None:
    alarms = renewed(raised(plant()), severe(Severity.CRITICAL))
    assert alarms.settle_unwatched(NOW) == ([], [])
