"""How each signal does: waiting for its first reading, ok, silent, or not to be believed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from contracts.messages import SourceHealth
from contracts.plant.model import Signal, SignalSet
from contracts.readings import Quality
from edge.core.judge import Judge, judge_of

State = Literal["waiting", "ok", "silent", "out-of-range", "stuck", "jump", "clock"]
_PATIENCE_PERIODS = 3
_RATE_READINGS = 32
GOOD, OUT_OF_RANGE, CLOCK = int(Quality.GOOD), int(Quality.OUT_OF_RANGE), int(Quality.CLOCK)
_FAULTS: dict[int, tuple[State, str]] = {
    OUT_OF_RANGE: ("out-of-range", "{value:g} is outside {range}"),
    CLOCK: ("clock", "its clock is {off:.1f} s {side}"),
    Quality.JUMP: ("jump", "{value:g} is further than it can go"),
    Quality.STUCK: ("stuck", "it stands still at {value:g}"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """A signal's state became another."""

    asset: str
    signal: str
    before: State
    after: State
    why: str

    def __str__(self) -> str:
        return f"{self.asset} {self.signal}: {self.after} (was {self.before}): {self.why}"


@dataclass(slots=True)
class Watch:
    """One signal. A value that cannot be believed shows until the next look after it."""

    asset: str
    signal: Signal
    patience_us: int
    begun_us: int
    state: State = "waiting"
    readings: int = 0
    value: float | None = None
    last_us: int | None = None
    _arrival_us: int | None = None
    _strange: tuple[int, float, int] | None = None
    _fresh: bool = False
    _mute: bool = False
    _times: deque[int] = field(default_factory=lambda: deque(maxlen=_RATE_READINGS))
    _judge: Judge | None = field(init=False)
    _low: float = field(init=False)
    _high: float = field(init=False)

    def __post_init__(self) -> None:
        self._judge = judge_of(self.signal)
        self._low, self._high = self.signal.range or (-inf, inf)

    def observe(self, time_us: int, value: float, arrival_us: int, off_us: int = 0) -> int:
        """Notes one reading; its quality. `off_us` is how far the clock is off that would have
        said its time, where it is not believed."""
        self.readings += 1
        self._fresh, self._mute = True, False
        self._times.append(time_us)
        self._arrival_us = arrival_us
        if self.last_us is None or time_us >= self.last_us:
            self.last_us, self.value = time_us, value
        if self._judge is None and not off_us and self._low <= value <= self._high:
            return GOOD
        code = self._code(time_us, value, off_us)
        if code != GOOD:
            self._strange = code, value, off_us
        return code

    def _code(self, time_us: int, value: float, off_us: int) -> int:
        if not self._low <= value <= self._high:
            return OUT_OF_RANGE
        if off_us:
            return CLOCK
        return GOOD if self._judge is None else self._judge.judge(time_us, value)

    def mute(self) -> None:
        """Its source has said that it ends: it is silent until it is heard again."""
        self._mute = True

    def step(self, by_us: int) -> None:
        """The wall clock was set: what is remembered by it moves along."""
        self.begun_us += by_us
        if self._arrival_us is not None:
            self._arrival_us += by_us

    def look(self, now_us: int, attentive_since_us: int) -> Change | None:
        """Decides the state at `now_us`; the change, if it is one.

        Silence counts only while the edge could hear: since `attentive_since_us`.
        """
        heard_us = max(self._arrival_us or self.begun_us, attentive_since_us)
        silent_us = now_us - heard_us
        after, why = self._decide(silent_us)
        before, self.state = self.state, after
        self._strange, self._fresh = None, False
        return None if after == before else Change(self.asset, self.signal.id, before, after, why)

    def _decide(self, silent_us: int) -> tuple[State, str]:
        if self._strange is not None:
            code, value, off_us = self._strange
            state, why = _FAULTS[code]
            off, side = abs(off_us) / 1e6, "ahead" if off_us > 0 else "behind"
            return state, why.format(value=value, range=self.signal.range, off=off, side=side)
        if self._mute:
            return "silent", "its source has said that it ends"
        if self._fresh:
            return "ok", "readings come"
        if silent_us > self.patience_us:
            return "silent", f"no reading for {silent_us / 1e6:.1f} s"
        # Only a reading ends a silence, or says that the next value is in range again.
        return self.state, "no reading since"

    def rate_hz(self) -> float:
        """Readings a second of event time, over the last ones; 0 while none come."""
        if self.state in ("silent", "waiting") or len(self._times) < 2:
            return 0.0
        span_us = max(self._times) - min(self._times)
        return (len(self._times) - 1) * 1e6 / span_us if span_us else 0.0

    def health(self) -> SourceHealth:
        """The signal's part of the edge's status."""
        return SourceHealth(
            asset=self.asset,
            signal=self.signal.id,
            state=self.state,
            clock=self.signal.clock,
            rate_hz=round(self.rate_hz(), 3),
            readings=self.readings,
            last_us=self.last_us,
            unit=self.signal.unit,
            value=self.value,
        )


def watches(asset: str, group: SignalSet, begun_us: int) -> tuple[Watch, ...]:
    """A watch for each signal of an asset, in column order."""
    return tuple(
        Watch(
            asset,
            signal,
            max(group.idle, _PATIENCE_PERIODS * (signal.period or group.rows.period)),
            begun_us,
        )
        for signal in group.signals
    )
