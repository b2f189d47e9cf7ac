"""Which process is alive and does nothing: judged by what the processes say of themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts.messages import Status

STILL_S = 20.0
NO_ROWS_S = 30.0
GRACE_S = 40.0
_FRESH_S = 5.0
EDGE, STREAM = "edge/", "stream/"


@dataclass(frozen=True, slots=True)
class Ill:
    """A process that should be started again, and why."""

    process: str
    why: str


@dataclass(slots=True)
class Vitals:
    """Two signs of illness: a process says nothing while others do, and the workers take no
    rows while the edge writes some. When nobody says anything it is Kafka that is away, and
    nobody is ill. All times are seconds of one steady clock."""

    _begun_s: dict[str, float] = field(default_factory=dict)
    _heard_s: dict[str, float] = field(default_factory=dict)
    _last: dict[str, Status] = field(default_factory=dict)
    _progress_s: float | None = None
    _rows_in: int = -1
    _written: int = 0

    def begun(self, process: str, now_s: float) -> None:
        """A process was started, for the first time or again."""
        self._begun_s[process] = self._heard_s[process] = now_s
        if process.startswith(STREAM):
            self._progress_s = None

    def observe(self, status: Status, now_s: float) -> None:
        """A status came; one of a process that is not ours (an earlier run's) says nothing."""
        if status.process not in self._begun_s:
            return
        self._heard_s[status.process] = now_s
        self._last[status.process] = status
        rows_in = self._sum(STREAM, "stream.rows", "taken_in")
        written = self._sum(EDGE, "edge.rows", "gone_out")
        if self._progress_s is None or rows_in != self._rows_in or written <= self._written:
            self._progress_s, self._rows_in, self._written = now_s, rows_in, written

    def judge(self, now_s: float) -> list[Ill]:
        """The processes that are ill now."""
        ill = [
            Ill(process, f"it has said nothing for {now_s - self._heard_s[process]:.0f} s")
            for process in self._begun_s
            if self._settled(process, now_s)
            and now_s - self._heard_s[process] > STILL_S
            and self._others_speak(process, now_s)
        ]
        return ill or self._stuck(now_s)

    def _stuck(self, now_s: float) -> list[Ill]:
        workers = [name for name in self._begun_s if name.startswith(STREAM)]
        if self._progress_s is None or now_s - self._progress_s <= NO_ROWS_S:
            return []
        if not all(self._settled(name, now_s) for name in workers):
            return []
        if self._sum(EDGE, "edge.rows", "gone_out") == self._written:
            return []
        why = f"no worker has taken a row for {now_s - self._progress_s:.0f} s, and there are some"
        return [Ill(name, why) for name in workers]

    def _settled(self, process: str, now_s: float) -> bool:
        return now_s - self._begun_s[process] > GRACE_S

    def _others_speak(self, process: str, now_s: float) -> bool:
        return any(
            name != process and now_s - heard <= _FRESH_S for name, heard in self._heard_s.items()
        )

    def _sum(self, room: str, stage: str, what: str) -> int:
        return sum(
            getattr(status.account[stage], what)
            for name, status in self._last.items()
            if name.startswith(room) and stage in status.account
        )
