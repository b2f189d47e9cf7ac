"""Whether the readings of a signal can be what it measures: not stuck, no jump, by its rules in
the plant file.

Readings are judged as they come, in the order of their times: one that is older than the newest is
only looked at for its range. Nothing is kept over a restart: a stuck signal is told anew once it
has stood still for its time again, and the first reading is believed.
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.plant.model import Jump, Signal, Still
from contracts.readings import Quality

GOOD, STUCK, JUMP = int(Quality.GOOD), int(Quality.STUCK), int(Quality.JUMP)
_ROUNDING = 1e-9
LEAST_READINGS = 3
"""A signal that was silent is not stuck because it comes back with the same value."""


@dataclass(slots=True)
class Stillness:
    """How long a signal has stood still: all its values since then lie within `rule.within`."""

    rule: Still
    _since_us: int = 0
    _low: float = 0.0
    _high: float = 0.0
    _readings: int = 0

    def stuck(self, time_us: int, value: float) -> bool:
        """Whether this reading stands still for too long."""
        low, high = min(self._low, value), max(self._high, value)
        # 2.1 - 2.0 is more than 0.1.
        same = self.rule.within + _ROUNDING * max(abs(low), abs(high))
        if not self._readings or high - low > same:
            self._since_us, self._readings, low, high = time_us, 0, value, value
        self._low, self._high = low, high
        self._readings += 1
        rest = self.rule.rest
        if rest is not None and rest[0] <= value <= rest[1]:
            return False
        lasted = time_us - self._since_us >= self.rule.after
        return lasted and self._readings >= LEAST_READINGS


@dataclass(slots=True)
class Leap:
    """The last reading that was believed, and the first and last of those that are not but follow
    each other as they may: once they have for `rule.settle`, they are the new truth."""

    rule: Jump
    _believed: tuple[int, float] | None = None
    _other: tuple[int, float] | None = None
    _since_us: int = 0

    def jumped(self, time_us: int, value: float) -> bool:
        """Whether this reading cannot follow the one believed before it."""
        if self._believed is None or self._follows(self._believed, time_us, value):
            self._believed, self._other = (time_us, value), None
            return False
        if self._other is None or not self._follows(self._other, time_us, value):
            self._since_us = time_us
        self._other = time_us, value
        if self._since_us < time_us and time_us - self._since_us >= self.rule.settle:
            self._believed, self._other = self._other, None
            return False
        return True

    def _follows(self, before: tuple[int, float], time_us: int, value: float) -> bool:
        passed_s = (time_us - before[0]) / 1e6
        return abs(value - before[1]) <= self.rule.step + self.rule.rate * passed_s


class Judge:
    """Judges the readings of one signal whose values are in range."""

    __slots__ = ("_last_us", "_leap", "_still")

    def __init__(self, signal: Signal) -> None:
        self._still = None if signal.stuck is None else Stillness(signal.stuck)
        self._leap = None if signal.jump is None else Leap(signal.jump)
        self._last_us: int | None = None

    def judge(self, time_us: int, value: float) -> int:
        """GOOD, STUCK or JUMP."""
        if self._last_us is not None and time_us <= self._last_us:
            return GOOD
        self._last_us = time_us
        stuck = self._still is not None and self._still.stuck(time_us, value)
        if self._leap is not None and self._leap.jumped(time_us, value):
            return JUMP
        return STUCK if stuck else GOOD


def judge_of(signal: Signal) -> Judge | None:
    """The judge of a signal, if it has rules to judge by."""
    return Judge(signal) if signal.stuck or signal.jump else None
