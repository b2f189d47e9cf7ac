"""What the line says of itself on its topics, folded for a person's eyes. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from contracts.messages import (
    Account,
    AlarmState,
    Alert,
    DetectionBatch,
    SourceHealth,
    Status,
    Verdict,
)

KEPT_ALERTS = 50


@dataclass(frozen=True, slots=True)
class Score:
    """The last result of one detector for one asset."""

    asset: str
    detector: str
    kind: str
    verdict: Verdict
    score: float | None
    threshold: float
    end_us: int


@dataclass(slots=True)
class Board:
    """The present state of the whole line, as its topics tell it."""

    statuses: dict[str, Status] = field(default_factory=dict)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    alarms: dict[str, AlarmState] = field(default_factory=dict)
    alerts: deque[Alert] = field(default_factory=lambda: deque(maxlen=KEPT_ALERTS))
    _seen: deque[str] = field(default_factory=lambda: deque(maxlen=10 * KEPT_ALERTS))

    def on_status(self, status: Status) -> None:
        """A process told how it does."""
        self.statuses[status.process] = status

    def on_detections(self, batch: DetectionBatch) -> None:
        """Detections came; the newest window shows."""
        if not len(batch):
            return
        last = batch.item(max(range(len(batch)), key=batch.end_us.__getitem__))
        key = (batch.asset, batch.detector)
        known = self.scores.get(key)
        if known is None or known.end_us <= last.end_us:
            self.scores[key] = Score(
                *key, batch.kind, last.verdict, last.score, last.threshold, last.end_us
            )

    def on_alarm(self, state: AlarmState) -> None:
        """An alarm's present state; an older one of a worker that lost its partitions is not."""
        known = self.alarms.get(state.alarm)
        if known is None or known.applied_us <= state.applied_us:
            self.alarms[state.alarm] = state

    def on_alert(self, alert: Alert) -> bool:
        """Something happened to an alarm; False when it was told before."""
        if alert.id in self._seen:
            return False
        self._seen.append(alert.id)
        self.alerts.append(alert)
        return True

    def raised(self) -> list[AlarmState]:
        """The alarms that stand now, the newest first."""
        standing = [state for state in self.alarms.values() if state.raised]
        return sorted(standing, key=lambda state: (-(state.raised_us or 0), state.alarm))

    def sources(self) -> dict[str, tuple[SourceHealth, ...]]:
        """The signals of each asset, as the edges see them."""
        found: dict[str, list[SourceHealth]] = {}
        for _, status in sorted(self.statuses.items()):
            for source in status.sources:
                found.setdefault(source.asset, []).append(source)
        return {asset: tuple(sources) for asset, sources in found.items()}

    def accounts(self) -> dict[str, Account]:
        """The account of each stage, over all processes that have it."""
        return total_accounts(self.statuses.values())


def total_accounts(statuses: Iterable[Status]) -> dict[str, Account]:
    """The sums over the processes, by stage, in the order of the line."""
    totals: dict[str, Account] = {}
    for status in statuses:
        for stage, account in status.account.items():
            known = totals.get(stage)
            totals[stage] = account if known is None else add(known, account)
    return dict(sorted(totals.items(), key=lambda item: _place(item[0])))


def add(one: Account, other: Account) -> Account:
    """The sum of two accounts of one stage."""
    reasons = sorted({*one.dropped, *other.dropped})
    return Account(
        unit=one.unit,
        taken_in=one.taken_in + other.taken_in,
        gone_out=one.gone_out + other.gone_out,
        held=one.held + other.held,
        dropped={r: one.dropped.get(r, 0) + other.dropped.get(r, 0) for r in reasons},
    )


_ROOMS = ("planter", "edge", "stream", "exporters")
_STAGES = ("mqtt", "rows", "panes", "aggregate-rows", "aggregate-windows", "windows", "alarms")


def _place(stage: str) -> tuple[int, int, str]:
    room, _, rest = stage.partition(".")
    return (
        _ROOMS.index(room) if room in _ROOMS else len(_ROOMS),
        _STAGES.index(rest) if rest in _STAGES else len(_STAGES),
        stage,
    )
