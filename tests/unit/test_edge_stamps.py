"""Which time a frame gets, and which frames of a fast camera are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.stamps import AHEAD_US, BEHIND_US, CameraClock, Pace

NOW = 1_700_000_000_000_000
HOUR = 3_600_000_000


def test_the_cameras_time_is_used_where_it_says_one() -> None:
    clock = CameraClock()
    assert clock.stamp(None, NOW) == (NOW, "arrival", NOW)
    assert clock.stamp(NOW - 70_000, NOW) == (NOW - 70_000, "rtcp", NOW)
    assert clock.off_us == 0


@pytest.mark.parametrize("off_us", [-HOUR, HOUR, AHEAD_US + 1, -BEHIND_US - 1, -NOW])
def test_a_clock_far_off_is_replaced_by_the_time_of_arrival(off_us: int) -> None:
    clock = CameraClock()
    assert clock.stamp(NOW + off_us, NOW) == (NOW, "arrival", NOW)
    assert clock.off_us == off_us


def test_a_clock_at_the_bound_does_not_flap() -> None:
    clock = CameraClock()
    clocks = [clock.stamp(NOW + off, NOW).clock for off in (AHEAD_US, AHEAD_US + 1, AHEAD_US)]
    assert clocks == ["rtcp", "arrival", "arrival"]
    assert clock.stamp(NOW + AHEAD_US // 2, NOW).clock == "rtcp"


@pytest.mark.parametrize(("source_hz", "rate", "kept"), [(15, 5, 50), (15, 30, 150), (30, 4, 40)])
def test_the_rate_is_kept_on_the_average(source_hz: int, rate: float, kept: int) -> None:
    pace, period = Pace(rate), 1_000_000 // source_hz
    wanted = [n for n in range(10 * source_hz) if pace.wants(NOW + n * period)]
    assert abs(len(wanted) - kept) <= 1


def test_a_pause_is_not_made_up_for() -> None:
    pace = Pace(1.0)
    assert pace.wants(NOW) and pace.wants(NOW + 60_000_000)
    assert not pace.wants(NOW + 60_100_000)


@given(st.lists(st.integers(1, 2_000_000), max_size=60), st.sampled_from([0.5, 1.0, 7.0, 60.0]))
def test_never_more_than_the_rate(steps: list[int], rate: float) -> None:
    pace, at, kept = Pace(rate), NOW, 0
    for step in steps:
        at += step
        kept += pace.wants(at)
    assert kept <= (at - NOW) * rate / 1e6 + 2
