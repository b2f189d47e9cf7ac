"""Whether time went on as it should between two looks: a process may have been stopped, and the
wall clock set."""

from __future__ import annotations

from typing import NamedTuple

STEP_US = 1_000_000
"""A wall clock that moved so much more or less than a steady one was set; less is drift, and what
clock daemons do all the time."""


class Beat(NamedTuple):
    """`missed`: nobody looked for a while, and what came meanwhile was not heard yet.
    `stepped_us`: how far the wall clock was set ahead (negative: back); 0 when it was not."""

    missed: bool
    stepped_us: int


class Pulse:
    """To be looked at every `period_us`; both clocks in microseconds."""

    def __init__(self, period_us: int, wall_us: int, steady_us: int) -> None:
        self._period_us = period_us
        self._wall_us, self._steady_us = wall_us, steady_us

    def look(self, wall_us: int, steady_us: int) -> Beat:
        """What happened since the last look."""
        passed_us = steady_us - self._steady_us
        stepped_us = wall_us - self._wall_us - passed_us
        self._wall_us, self._steady_us = wall_us, steady_us
        missed = passed_us > self._period_us + STEP_US
        return Beat(missed, stepped_us if abs(stepped_us) > STEP_US else 0)
