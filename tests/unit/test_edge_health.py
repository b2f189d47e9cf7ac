"""Health of signals: what is said, when, and that only a reading ends a silence."""

from __future__ import annotations

from contracts.plant.model import Signal, SignalSet
from edge.core.health import Watch, watches

S = 1_000_000
GROUP = SignalSet.model_validate(
    {
        "idle": "5s",
        "rows": {"period": "1s"},
        "signals": [
            {"id": "x", "topic": "x", "range": [0, 10], "time": "/t"},
            {"id": "slow", "topic": "y", "period": "1min"},
        ],
    }
)


def one() -> Watch:
    return watches("s/a", GROUP, 0)[0]


def said(watch: Watch, now_us: int, since_us: int = 0) -> str | None:
    change = watch.look(now_us, since_us)
    return None if change is None else str(change)


def test_the_life_of_a_signal() -> None:
    watch = one()
    assert said(watch, 1 * S) is None
    assert watch.health().state == "waiting"
    watch.observe(2 * S, 5.0, 2 * S)
    assert said(watch, 2 * S) == "s/a x: ok (was waiting): readings come"
    watch.observe(3 * S, 11.0, 3 * S)
    assert said(watch, 3 * S) == "s/a x: out-of-range (was ok): 11 is outside (0.0, 10.0)"
    assert said(watch, 4 * S) is None
    watch.observe(4 * S, 10.0, 4 * S)
    assert said(watch, 5 * S) == "s/a x: ok (was out-of-range): readings come"
    assert said(watch, 9 * S) is None
    assert said(watch, 9 * S + 1) == "s/a x: silent (was ok): no reading for 5.0 s"
    watch.observe(10 * S, 1.0, 10 * S)
    assert said(watch, 10 * S) == "s/a x: ok (was silent): readings come"


def test_one_that_never_spoke_is_silent_too() -> None:
    assert said(one(), 6 * S) == "s/a x: silent (was waiting): no reading for 6.0 s"


def test_a_slow_signal_has_its_own_patience() -> None:
    slow = watches("s/a", GROUP, 0)[1]
    assert said(slow, 180 * S) is None
    assert said(slow, 180 * S + 1) is not None


def test_while_the_edge_could_not_hear_nobody_becomes_silent_or_ok() -> None:
    watch = one()
    watch.observe(0, 5.0, 0)
    assert said(watch, 1 * S) is not None
    assert said(watch, 60 * S, since_us=60 * S) is None
    assert said(watch, 66 * S, since_us=60 * S) is not None
    assert said(watch, 70 * S, since_us=70 * S) is None
    assert watch.state == "silent"


def test_rate_is_of_event_time_and_ends_with_the_readings() -> None:
    watch = one()
    for number in range(100):
        watch.observe(number * 100_000, 1.0, S)
    watch.look(S, 0)
    health = watch.health()
    assert (health.rate_hz, health.readings, health.last_us) == (10.0, 100, 9_900_000)
    assert (health.value, health.clock) == (1.0, "source")
    watch.look(20 * S, 0)
    assert watch.health().rate_hz == 0.0


def test_an_older_reading_does_not_become_the_last_value() -> None:
    watch = Watch("s/a", Signal(id="x", topic="x"), S, 0)
    watch.observe(10, 1.0, 10)
    watch.observe(5, 2.0, 11)
    assert (watch.last_us, watch.value) == (10, 1.0)
