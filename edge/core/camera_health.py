"""How one camera does, and what is said about it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from contracts.messages import CAMERA, SourceHealth, SourceState
from edge.core.scenes import View
from edge.core.stamps import Stamp

Loss = Literal["lost", "unauthorised"]
_SAY_AGAIN_US = 60_000_000
_RATE_FRAMES = 32
_PATIENCE = 0.9
_WHY: dict[View, str] = {
    "good": "frames come",
    "frozen": "the image repeats itself",
    "dark": "no light",
    "over-exposed": "too much light",
    "blurred": "its edges are wider than they were",
    "moved": "it does not look where it did",
}


@dataclass(slots=True)
class Sayings:
    """Folds what is said again and again: the same text once a minute, with a count."""

    _said: dict[str, tuple[int, int]] = field(default_factory=dict)

    def fold(self, text: str, now_us: int) -> str | None:
        """What to say now; None when it was said a moment ago."""
        last_us, unsaid = self._said.get(text, (None, 0))
        if last_us is not None and now_us - last_us < _SAY_AGAIN_US:
            self._said[text] = last_us, unsaid + 1
            return None
        self._forget(now_us)
        self._said[text] = now_us, 0
        return f"{text} ({unsaid + 1} times since)" if unsaid else text

    def _forget(self, now_us: int) -> None:
        old = [text for text, (at, _) in self._said.items() if now_us - at > 10 * _SAY_AGAIN_US]
        for text in old:
            del self._said[text]


@dataclass(slots=True)
class CameraWatch:
    """One camera. It is noticed a little before `idle` that nothing comes, so that the default
    of 5 s is kept by a look every quarter of a second."""

    asset: str
    idle_us: int
    state: SourceState = "waiting"
    frames: int = 0
    last_us: int | None = None
    clock: Literal["source", "arrival"] = "arrival"
    why: str = ""
    _heard_us: int | None = None
    _loss: Loss | None = None
    _view: View = "good"
    _times: deque[int] = field(default_factory=lambda: deque(maxlen=_RATE_FRAMES))

    def came(self, stamp: Stamp) -> None:
        """A frame came from the decoder."""
        self.frames += 1
        self._times.append(stamp.time_us)
        self._heard_us = stamp.received_us
        self._loss = None
        self.last_us = stamp.time_us
        self.clock = "arrival" if stamp.clock == "arrival" else "source"

    def seen(self, view: View) -> None:
        """What the newest frame that was looked at shows."""
        self._view = view

    def lost(self, loss: Loss, why: str) -> None:
        """The source ended or could not be opened."""
        self._loss, self.why = loss, why

    def step(self, by_us: int) -> None:
        """The wall clock was set: what is remembered by it moves along."""
        if self._heard_us is not None:
            self._heard_us += by_us

    def look(self, now_us: int) -> str | None:
        """Decides the state at `now_us`; a line about the change, if it is one."""
        before, (self.state, why) = self.state, self._judge(now_us)
        if self.state == before:
            return None
        return f"{self.asset} {CAMERA}: {self.state} (was {before}): {why}"

    def rate_hz(self) -> float:
        """Frames a second over the last ones; 0 while none come."""
        if self.state in ("waiting", "silent", "lost", "unauthorised") or len(self._times) < 2:
            return 0.0
        span_us = max(self._times) - min(self._times)
        return (len(self._times) - 1) * 1e6 / span_us if span_us else 0.0

    def health(self) -> SourceHealth:
        """The camera's part of the edge's status."""
        return SourceHealth(
            asset=self.asset,
            signal=CAMERA,
            state=self.state,
            clock=self.clock,
            rate_hz=round(self.rate_hz(), 3),
            readings=self.frames,
            last_us=self.last_us,
        )

    def _judge(self, now_us: int) -> tuple[SourceState, str]:
        if self._loss is not None:
            return self._loss, self.why
        if self._heard_us is None:
            return "waiting", "no frame yet"
        silent_us = now_us - self._heard_us
        if silent_us > _PATIENCE * self.idle_us:
            return "silent", f"no frame for {silent_us / 1e6:.1f} s"
        return "ok" if self._view == "good" else self._view, _WHY[self._view]
