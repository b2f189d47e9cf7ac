"""When a frame was taken, or a value read: by the source's clock where it can be believed, else by
its arrival."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from contracts.headers import NO_TIME

Clock = Literal["rtcp", "arrival", "source"]
AHEAD_US = 60_000_000
BEHIND_US = 5_000_000
"""A camera's time outside these bounds around the edge's clock is not used. A frame that is merely
late is no further behind: a connection that stalls for so long counts as lost."""


PATIENCE_US = 60_000_000
LEAST_BEHIND = 10
"""Of a signal that is read once an hour, two that are late in a row prove nothing."""
_CATCHES_UP = 4


class Stamp(NamedTuple):
    """The time of a frame, whose clock says so, and when the edge had the frame."""

    time_us: int
    clock: Clock
    received_us: int


@dataclass(slots=True)
class CameraClock:
    """Whether a camera's own time is used. `off_us` is how far its clock is ahead (negative:
    behind) while it is not believed, and 0 while it is.

    Once refused it must come within half the bounds, so that a clock at a bound does not make
    every other frame jump.
    """

    off_us: int = 0

    def stamp(self, source_us: int | None, arrival_us: int, clock: Clock = "rtcp") -> Stamp:
        """The stamp of a frame that came at `arrival_us` and says it was taken at `source_us`."""
        if source_us is None:
            return Stamp(arrival_us, "arrival", arrival_us)
        off_us = source_us - arrival_us
        part = 2 if self.off_us else 1
        believed = -BEHIND_US // part <= off_us <= AHEAD_US // part
        self.off_us = 0 if believed else off_us
        if believed:
            return Stamp(source_us, clock, arrival_us)
        return Stamp(arrival_us, "arrival", arrival_us)


@dataclass(slots=True)
class SourceClock:
    """Whether a sensor's own time is believed. `off_us` is how far its clock is ahead (negative:
    behind) while it is not, and 0 while it is.

    A time more than `skew_us` ahead of its arrival can only be the clock's fault. One that is
    behind may just have been long on its way, as after an outage; then others come after it that
    are less and less behind, or are not at all. A clock that is slow stays behind: when for
    PATIENCE_US, and LEAST_BEHIND times, nothing came within `skew_us` and what came did not catch
    up, it is the clock.
    It is believed again once a time comes within half of `skew_us`.
    """

    skew_us: int
    off_us: int = 0
    _behind: tuple[int, int, int] | None = None

    def believes(self, time_us: int, arrival_us: int) -> bool:
        """Whether `time_us` may be used for what came at `arrival_us`."""
        off_us = time_us - arrival_us
        part = 2 if self.off_us else 1
        if -self.skew_us // part <= off_us <= self.skew_us // part:
            self.off_us, self._behind = 0, None
            return True
        if self.off_us or off_us > 0 or self._stays_behind(off_us, arrival_us):
            self.off_us = off_us
            return False
        return True

    def _stays_behind(self, off_us: int, arrival_us: int) -> bool:
        since_us, first_us, times = self._behind or (arrival_us, off_us, 0)
        if off_us - first_us > self.skew_us // _CATCHES_UP:
            since_us, first_us, times = arrival_us, off_us, 0
        self._behind = since_us, first_us, times + 1
        return arrival_us - since_us >= PATIENCE_US and times + 1 >= LEAST_BEHIND


class Pace:
    """Which frames of a faster camera are kept: `rate` a second on the average, by their times.

    A frame that comes a quarter of a period early counts as due, as times of arrival jitter.
    """

    def __init__(self, rate: float) -> None:
        self._period_us = round(1e6 / rate)
        self._due_us = NO_TIME

    def wants(self, time_us: int) -> bool:
        """Whether the frame at `time_us` is kept; times rise."""
        period_us = self._period_us
        if time_us < self._due_us - period_us // 4:
            return False
        late_us = time_us - self._due_us
        self._due_us = (self._due_us if late_us < period_us else time_us) + period_us
        return True
