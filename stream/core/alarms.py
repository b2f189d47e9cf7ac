"""The life of an alarm, after ISA-18.2: on-delay, deadband, off-delay, one open alarm a condition.

All times are event times. `apply` is a pure step; applying a detection that was applied before
changes nothing, so detections may come again after a crash.

    NORMAL --abnormal--> PENDING --abnormal for on_delay--> ACTIVE (raised)
    PENDING --normal--> NORMAL
    ACTIVE --below deadband--> CLEARING --below for off_delay--> NORMAL (cleared)
    CLEARING --above deadband--> ACTIVE (no transition for the operator: it never cleared)

What a backfill raises is a backfill, and so is all that happens to that activation, until a
detection that is none finds the alarm standing: then it is raised once more, for all to hear. See
docs/adr/0013.

A plant file may change meanwhile: an alarm that stands takes its rule's new severity and class with
the next detection, and is told to be escalated or revised; one that nothing watches any more is
cleared. See docs/adr/0017.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from contracts.identity import activation_id, alarm_key, alert_id
from contracts.messages import (
    Account,
    AlarmState,
    Alert,
    Detection,
    DetectionBatch,
    Phase,
    Severity,
    Transition,
    Verdict,
)
from contracts.plant import Plant
from contracts.plant.model import AlarmRule
from contracts.texts import UNWATCHED


@dataclass(frozen=True, slots=True)
class Step:
    """What one detection does to one alarm."""

    state: AlarmState
    alerts: tuple[Alert, ...] = ()


def initial(asset: str, rule: AlarmRule, batch: DetectionBatch) -> AlarmState:
    """An alarm that nothing has happened to yet."""
    return AlarmState(
        alarm=alarm_key(asset, rule.id),
        asset=asset,
        rule=rule.id,
        detector=rule.detector,
        phase=Phase.NORMAL,
        alarm_class=rule.alarm_class,
        severity=rule.severity,
        applied_us=-(2**62),
        since_us=-(2**62),
        plant=batch.plant,
    )


def apply(state: AlarmState, rule: AlarmRule, batch: DetectionBatch, one: Detection) -> Step:
    """The alarm after detection `one` of `batch`.

    A window that could not be measured says nothing: the alarm stays as it is.
    """
    if one.end_us <= state.applied_us:
        return Step(state)
    if one.verdict is Verdict.NOT_MEASURED or one.score is None:
        return Step(state)
    if not state.raised:
        return _quiet(state, rule, batch, one)
    if (state.severity, state.alarm_class) == (rule.severity, rule.alarm_class):
        return _raised(state, rule, batch, one)
    revised = _revised(state, rule, one)
    step = _raised(revised.state, rule, batch, one)
    return Step(step.state, revised.alerts + step.alerts)


def _revised(state: AlarmState, rule: AlarmRule, one: Detection) -> Step:
    """The rule of an alarm that stands has another severity or class than when it was raised."""
    worse = _RANK.index(rule.severity) < _RANK.index(state.severity)
    update = {
        "severity": rule.severity,
        "alarm_class": rule.alarm_class,
        "applied_us": one.end_us,
    }
    after = state.model_copy(update=update)
    told = Transition.ESCALATED if worse else Transition.REVISED
    return Step(after, (_alert(after, told, one),))


_RANK = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


def unwatched(state: AlarmState, now_us: int) -> Step:
    """The alarm when the plant file no longer has its asset or rule, or its detector does not look
    at the asset: no detection will ever clear it.

    That is no event of the process, so it has no time but the clock's. Told twice, because of a
    crash in between, it is the same alert: its identity comes from what was applied last."""
    quiet = {"phase": Phase.NORMAL, "since_us": now_us, "reason": UNWATCHED, "evidence": {}}
    if not state.raised:
        return Step(state.model_copy(update=quiet))
    cleared = state.model_copy(update=quiet | {"cleared_us": now_us})
    alert = Alert(
        id=alert_id(state.alarm, Transition.CLEARED, state.applied_us),
        alarm=state.alarm,
        activation=state.activation or "",
        asset=state.asset,
        rule=state.rule,
        detector=state.detector,
        transition=Transition.CLEARED,
        at_us=now_us,
        alarm_class=state.alarm_class,
        severity=state.severity,
        score=state.score,
        threshold=state.threshold,
        reason=UNWATCHED,
        detection=state.detection,
        plant=state.plant,
        model=state.model,
        backfill=state.backfill,
    )
    return Step(cleared, (alert,))


def _quiet(state: AlarmState, rule: AlarmRule, batch: DetectionBatch, one: Detection) -> Step:
    if one.verdict is not Verdict.ABNORMAL:
        if state.phase is Phase.NORMAL:
            return Step(state)
        back = {"phase": Phase.NORMAL, "since_us": one.end_us, "applied_us": one.end_us}
        return Step(state.model_copy(update=back))
    since = one.end_us if state.phase is Phase.NORMAL else state.since_us
    if one.end_us - since < rule.on_delay:
        if state.phase is Phase.PENDING:
            return Step(state)
        waits = {"phase": Phase.PENDING, "since_us": since, "applied_us": one.end_us}
        return Step(state.model_copy(update=waits))
    return _raise(state, rule, batch, one)


def _raise(state: AlarmState, rule: AlarmRule, batch: DetectionBatch, one: Detection) -> Step:
    raised = state.model_copy(
        update={
            "phase": Phase.ACTIVE,
            "since_us": one.end_us,
            "applied_us": one.end_us,
            "activation": activation_id(state.alarm, one.end_us),
            "activations": state.activations + 1,
            "raised_us": one.end_us,
            "cleared_us": None,
            "acknowledged_us": None,
            "score": one.score,
            "peak": one.score,
            "threshold": one.threshold,
            "reason": one.reason,
            "evidence": one.evidence,
            "detection": one.id,
            "detector": rule.detector,
            "severity": rule.severity,
            "alarm_class": rule.alarm_class,
            "plant": batch.plant,
            "model": batch.model,
            "backfill": batch.backfill,
        }
    )
    return Step(raised, (_alert(raised, Transition.RAISED, one),))


def _raised(state: AlarmState, rule: AlarmRule, batch: DetectionBatch, one: Detection) -> Step:
    assert one.score is not None
    if not _below(rule, one):
        update: dict[str, object] = {}
        if state.phase is Phase.CLEARING:
            update = {"phase": Phase.ACTIVE, "since_us": one.end_us}
        if state.peak is None or one.score > state.peak:
            update |= {"peak": one.score}
        told = state.backfill and not batch.backfill
        if told:
            update |= {"backfill": False}
        if not update:
            return Step(state)
        after = state.model_copy(update={**update, "applied_us": one.end_us})
        return Step(after, (_alert(after, Transition.RAISED, one),) if told else ())
    since = one.end_us if state.phase is Phase.ACTIVE else state.since_us
    if one.end_us - since < rule.off_delay:
        if state.phase is Phase.CLEARING:
            return Step(state)
        waits = {"phase": Phase.CLEARING, "since_us": since, "applied_us": one.end_us}
        return Step(state.model_copy(update=waits))
    return _clear(state, one)


def _below(rule: AlarmRule, one: Detection) -> bool:
    """Whether the score is out of the alarm, by the deadband."""
    assert one.score is not None
    if one.verdict is Verdict.ABNORMAL:
        return False
    return one.score <= one.threshold * (1 - rule.deadband)


def _clear(state: AlarmState, one: Detection) -> Step:
    cleared = state.model_copy(
        update={
            "phase": Phase.NORMAL,
            "since_us": one.end_us,
            "applied_us": one.end_us,
            "cleared_us": one.end_us,
            "score": one.score,
        }
    )
    return Step(cleared, (_alert(cleared, Transition.CLEARED, one),))


def _alert(state: AlarmState, transition: Transition, one: Detection) -> Alert:
    return Alert(
        id=alert_id(state.alarm, transition, one.end_us),
        alarm=state.alarm,
        activation=state.activation or "",
        asset=state.asset,
        rule=state.rule,
        detector=state.detector,
        transition=transition,
        at_us=one.end_us,
        alarm_class=state.alarm_class,
        severity=state.severity,
        score=one.score,
        threshold=one.threshold,
        reason=one.reason or state.reason,
        evidence=one.evidence,
        detection=one.id,
        received_us=one.received_us,
        plant=state.plant,
        model=state.model,
        backfill=state.backfill,
    )


def keep_newest(states: dict[str, AlarmState], state: AlarmState) -> None:
    """Puts `state` among the states by alarm, unless the one there has applied more: a worker that
    lost its partitions without knowing it may have written an older one later."""
    known = states.get(state.alarm)
    if known is None or state.applied_us >= known.applied_us:
        states[state.alarm] = state


@dataclass(slots=True)
class Alarms:
    """The alarming half of a worker: all alarms of the partitions that it owns.

    After a crash the detections since the last commit come again. The state carries the last
    detection that changed it, and one that changed nothing changes nothing the second time, so
    the alarms are those of an uninterrupted run.
    """

    plant: Plant
    detections_in: int = 0
    detections_out: int = 0
    repeated: int = 0
    _states: dict[str, AlarmState] = field(default_factory=dict)
    _marks: dict[tuple[str, str], int] = field(default_factory=dict)
    _rules: dict[tuple[str, str], tuple[AlarmRule, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rules = {
            (asset, one.id): self.plant.rules_of(one.id)
            for asset in self.plant.assets()
            for one in self.plant.detectors_of(asset)
        }

    def become(self, plant: Plant) -> None:
        """Another plant file: `assign` must follow."""
        self.plant = plant
        self.__post_init__()

    def assign(self, states: Iterable[AlarmState]) -> None:
        """Forget all, and start from what the compacted topic holds."""
        self._states.clear()
        self._marks.clear()
        for state in states:
            keep_newest(self._states, state)

    def settle_unwatched(self, now_us: int) -> tuple[list[Alert], list[AlarmState]]:
        """What becomes of alarms that are not normal and that nothing watches any more: what
        happened, and their states."""
        watched = {
            alarm_key(asset, rule.id) for (asset, _), rules in self._rules.items() for rule in rules
        }
        alerts: list[Alert] = []
        changed: list[AlarmState] = []
        for name, state in self._states.items():
            if state.phase is not Phase.NORMAL and name not in watched:
                step = unwatched(state, now_us)
                alerts += step.alerts
                changed.append(step.state)
        self._states |= {state.alarm: state for state in changed}
        return alerts, changed

    def apply(self, batch: DetectionBatch) -> tuple[list[Alert], list[AlarmState]]:
        """What happened with `batch`, in order, and the last state of each alarm that changed."""
        self.detections_in += len(batch)
        fresh = self._fresh(batch)
        self.repeated += len(batch) - len(fresh)
        if not fresh:
            return [], []
        alerts: list[Alert] = []
        changed: dict[str, AlarmState] = {}
        calm = Verdict.ABNORMAL not in batch.verdict
        for rule in self._rules.get((batch.asset, batch.detector), ()):
            before = self._states.get(alarm_key(batch.asset, rule.id))
            if calm and before is not None and before.phase is Phase.NORMAL:
                continue
            state = before or initial(batch.asset, rule, batch)
            for at in fresh:
                step = apply(state, rule, batch, batch.item(at))
                state = step.state
                alerts += step.alerts
            if before is None or state is not before:
                changed[state.alarm] = self._states[state.alarm] = state
        self.detections_out += len(fresh)
        return alerts, list(changed.values())

    def _fresh(self, batch: DetectionBatch) -> Sequence[int]:
        """The places of the detections that were not there before."""
        key, ends = (batch.asset, batch.detector), batch.end_us
        mark = self._marks.get(key, -(2**62))
        newest = max(ends, default=mark)
        self._marks[key] = max(mark, newest)
        if min(ends, default=mark) > mark:
            return range(len(ends))
        return [at for at, end in enumerate(ends) if end > mark]

    def accounts(self) -> dict[str, Account]:
        """What came in and what became of it."""
        return {
            "stream.alarms": Account(
                unit="detection",
                taken_in=self.detections_in,
                gone_out=self.detections_out,
                held=0,
                dropped={"repeated": self.repeated} if self.repeated else {},
            )
        }
