"""Which process is alive and does nothing: judged by what the processes say of themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts.messages import Status

STILL_S = 20.0
GRACE_S = 40.0
_FRESH_S = 5.0


@dataclass(frozen=True, slots=True)
class Ill:
    """A process that should be started again, and why."""

    process: str
    why: str


@dataclass(slots=True)
class Vitals:
    """A process is ill that says nothing while others do. When nobody says anything it is Kafka
    that is away, and nobody is ill. A worker that speaks and does not work ends by itself
    (stream.adapters.guard). All times are seconds of one steady clock."""

    _begun_s: dict[str, float] = field(default_factory=dict)
    _heard_s: dict[str, float] = field(default_factory=dict)

    def begun(self, process: str, now_s: float) -> None:
        """A process was started, for the first time or again."""
        self._begun_s[process] = self._heard_s[process] = now_s

    def observe(self, status: Status, now_s: float) -> None:
        """A status came; one of a process that is not ours (an earlier run's) says nothing."""
        if status.process in self._begun_s:
            self._heard_s[status.process] = now_s

    def judge(self, now_s: float) -> list[Ill]:
        """The processes that are ill now."""
        return [
            Ill(process, f"it has said nothing for {now_s - self._heard_s[process]:.0f} s")
            for process in self._begun_s
            if self._settled(process, now_s)
            and now_s - self._heard_s[process] > STILL_S
            and self._others_speak(process, now_s)
        ]

    def _settled(self, process: str, now_s: float) -> bool:
        return now_s - self._begun_s[process] > GRACE_S

    def _others_speak(self, process: str, now_s: float) -> bool:
        return any(
            name != process and now_s - heard <= _FRESH_S for name, heard in self._heard_s.items()
        )
