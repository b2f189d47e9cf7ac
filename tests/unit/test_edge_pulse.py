"""A process that was stopped, and a clock that was set, are told from time that passes."""

from __future__ import annotations

from edge.core.pulse import Beat, Pulse

S = 1_000_000
WALL = 1_700_000_000 * S


def test_time_that_passes_is_nothing() -> None:
    pulse = Pulse(S // 4, WALL, 0)
    for look in range(1, 100):
        # A clock that is slewed, and a loop that is a little late.
        assert pulse.look(WALL + look * S // 2 + look * 200, look * S // 2) == Beat(False, 0)


def test_a_process_that_was_stopped_missed_something() -> None:
    pulse = Pulse(S // 4, WALL, 0)
    assert pulse.look(WALL + 20 * S, 20 * S) == Beat(True, 0)
    assert pulse.look(WALL + 20 * S + S // 4, 20 * S + S // 4) == Beat(False, 0)


def test_a_clock_that_was_set_stepped_once() -> None:
    for step in (3600 * S, -3600 * S):
        pulse = Pulse(S // 4, WALL, 0)
        assert pulse.look(WALL + step + S // 4, S // 4) == Beat(False, step)
        assert pulse.look(WALL + step + S // 2, S // 2) == Beat(False, 0)


def test_a_machine_that_slept_with_its_steady_clock_stepped() -> None:
    pulse = Pulse(S // 4, WALL, 0)
    assert pulse.look(WALL + 600 * S, S // 4) == Beat(False, 600 * S - S // 4)
