"""What was planted against what was alarmed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from contracts.messages import AlarmClass, Alert, Severity, Transition
from contracts.plant import Plant
from contracts.plant.cameras import BRIGHTNESS, LEVEL
from contracts.plant.detectors import (
    Autoencoder,
    DetectorBase,
    Imbalance,
    Instrument,
    Limit,
    Vision,
)
from contracts.plant.detectors import Pulse as PulseSection
from vigia.demo.planting import EventKind
from vigia.demo.truth import Planted, Pulse, Truth

TOLERANCE_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Raising:
    """One time that an alarm was raised; times are event times."""

    activation: str
    alarm: str
    asset: str
    rule: str
    alarm_class: AlarmClass
    severity: Severity
    raised_us: int
    cleared_us: int | None
    score: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Of each alarm rule: for how long after its cause it may be raised, in microseconds. The
    rules that tell of each kind of event; and those that watch for the outlet meter's jumps."""

    slack_us: Mapping[str, int]
    told_by: Mapping[EventKind, frozenset[str]]
    pulse_rules: frozenset[str]


@dataclass(frozen=True, slots=True)
class Findings:
    """`found[i]` are the raisings that tell of the i-th event of `due`."""

    due: tuple[Planted, ...]
    found: tuple[tuple[Raising, ...], ...]
    missed: tuple[Planted, ...]
    spurious: tuple[Raising, ...]
    pump_changes: int
    pulses: int
    pulses_seen: int


def rules_of(plant: Plant) -> Rules:
    """A window that ends `width` after the cause still holds it; then the on-delay."""
    slack, pulses = {}, set()
    told: dict[EventKind, set[str]] = {kind: set() for kind in EventKind}
    for detector in plant.detectors:
        for rule in plant.rules_of(detector.id):
            slack[rule.id] = detector.window.width + rule.on_delay + TOLERANCE_US
            if isinstance(detector, PulseSection):
                pulses.add(rule.id)
            elif (kind := _watches(detector)) is not None:
                told[kind].add(rule.id)
    told_by = {kind: frozenset(rules) for kind, rules in told.items() if rules}
    return Rules(slack, told_by, frozenset(pulses))


def _watches(detector: DetectorBase) -> EventKind | None:
    """The kind of event that a detector is there for."""
    match detector:
        case Imbalance() | Autoencoder():
            return EventKind.WITHDRAWAL
        case Vision():
            return EventKind.DEFECT
        case Limit():
            return EventKind.LEVEL if detector.signal == LEVEL else EventKind.INTERFACE
        case Instrument() if BRIGHTNESS in detector.signals:
            return EventKind.STUCK
    return None


def raisings(alerts: Iterable[Alert]) -> list[Raising]:
    """The raisings in `alerts`, by time; an alert that came twice counts once."""
    found: dict[str, Raising] = {}
    cleared: dict[str, int] = {}
    for alert in alerts:
        if alert.transition is Transition.RAISED:
            found.setdefault(alert.activation, _raising(alert))
        elif alert.transition is Transition.CLEARED:
            cleared[alert.activation] = alert.at_us
    whole = [replace(one, cleared_us=cleared.get(key)) for key, one in found.items()]
    return sorted(whole, key=lambda one: (one.raised_us, one.alarm))


def compare(truth: Truth, raised: Iterable[Raising], rules: Rules) -> Findings:
    """An alarm tells of an event on its asset when its rule watches for that kind, it is of the
    kind's class, and it is raised between the event's start and its end plus the rule's slack; a
    pulse rule's alarm tells of a jump likewise. Any other alarm is spurious. An event is due when
    the demo went on long enough after it; a pump change never is.
    """
    raised = list(raised)
    longest = max(rules.slack_us.values(), default=0)
    begun = [event for event in truth.events if event.start_us <= truth.until_us]
    wanted = [event for event in begun if event.kind is not EventKind.PUMP_CHANGE]
    due = [event for event in wanted if event.end_us + longest <= truth.until_us]
    found = [tuple(one for one in raised if _tells(one, event, rules)) for event in due]
    return Findings(
        due=tuple(due),
        found=tuple(found),
        missed=tuple(event for event, by in zip(due, found, strict=True) if not by),
        spurious=tuple(
            one
            for one in raised
            if not any(_tells(one, event, rules) for event in wanted)
            and not any(_tells_pulse(one, pulse, rules) for pulse in truth.pulses)
        ),
        pump_changes=len(begun) - len(wanted),
        pulses=len(truth.pulses),
        pulses_seen=sum(_seen(pulse, raised, rules) for pulse in truth.pulses),
    )


def _tells(one: Raising, event: Planted, rules: Rules) -> bool:
    stuck = event.kind is EventKind.STUCK
    expected = AlarmClass.INSTRUMENT if stuck else AlarmClass.PROCESS
    watches = one.rule in rules.told_by.get(event.kind, ())
    return watches and one.alarm_class is expected and _fits(one, event, rules)


def _tells_pulse(one: Raising, pulse: Pulse, rules: Rules) -> bool:
    return one.rule in rules.pulse_rules and _fits(one, pulse, rules)


def _fits(one: Raising, cause: Planted | Pulse, rules: Rules) -> bool:
    latest_us = cause.end_us + rules.slack_us[one.rule]
    return one.asset == cause.asset and cause.start_us <= one.raised_us <= latest_us


def _seen(pulse: Pulse, raised: Sequence[Raising], rules: Rules) -> bool:
    """Whether an alarm told of this jump, or stood already since an earlier one."""
    return any(
        _tells_pulse(one, pulse, rules)
        or (
            one.rule in rules.pulse_rules
            and one.asset == pulse.asset
            and one.raised_us <= pulse.start_us
            and (one.cleared_us is None or pulse.start_us <= one.cleared_us)
        )
        for one in raised
    )


def _raising(alert: Alert) -> Raising:
    return Raising(
        alert.activation,
        alert.alarm,
        alert.asset,
        alert.rule,
        alert.alarm_class,
        alert.severity,
        alert.at_us,
        None,
        alert.score,
        alert.threshold,
        alert.reason,
    )
