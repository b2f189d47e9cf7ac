"""Alarms as they stand, and what happened to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from contracts.messages import (
    AlarmClass,
    AlarmState,
    Alert,
    Severity,
    Transition,
    decode_json,
)
from contracts.record import Record
from contracts.topics import ALARMS, ALERTS
from exporters.core.bounds import OTHER, Names, Recent
from exporters.core.buckets import Buckets
from exporters.core.families import Family, Labels, counter, gauge, histogram, seconds
from exporters.core.wanted import Start, Wanted

_MOST_IDS = 20_000
_MOST_ALARMS = 200_000


class AlarmStates:
    """The present state of every alarm, from the compacted topic: read wholly at the start."""

    wanted = (Wanted(ALARMS, Start.BEGINNING),)

    def __init__(self, names: Names) -> None:
        self._names = names
        self._states: dict[str, AlarmState] = {}

    def take(self, record: Record, now_us: int, live: bool) -> str | None:
        """Keeps the state in `record`; why not, if not. Raises MessageError."""
        if record.value is None:
            self._states.pop((record.key or b"").decode(errors="replace"), None)
            return None
        state = decode_json(AlarmState, record.value)
        known = self._states.get(state.alarm)
        if known is None and len(self._states) >= _MOST_ALARMS:
            return "too-many-alarms"
        # A worker that lost its partitions unawares may write an older state later.
        if known is not None and state.applied_us < known.applied_us:
            return "old"
        if known == state:
            return "repeated"
        self._states[state.alarm] = state
        return None

    def families(self, now_us: int) -> Iterator[Family]:
        """Every alarm that the plant file can raise, whether it ever was or not."""
        active: dict[Labels, float] = {}
        raised: Counter[Labels] = Counter()
        for key, (severity, kind) in self._names.alarms.items():
            if f"{key[0]}/{key[1]}" not in self._states:
                active[(*key, severity, kind)] = 0.0
            raised[key] = 0
        for state in self._states.values():
            key = self._names.alarm(state.asset, state.rule)
            labels = (*key, state.severity.value, state.alarm_class.value)
            stands = state.raised and not state.backfill
            active[labels] = max(active.get(labels, 0.0), float(stands))
            raised[key] += state.activations
        yield gauge(
            "vigia_alarm_active",
            "Whether the alarm stands; 0 while only a backfill says so.",
            ("asset", "rule", "severity", "class"),
            sorted(active.items()),
        )
        yield counter(
            "vigia_alarm_raised_total",
            "How often the alarm was raised, ever.",
            ("asset", "rule"),
            sorted(raised.items()),
        )
        yield gauge(
            "vigia_alarm_since_timestamp_seconds",
            "Event time since when the alarm stands.",
            ("asset", "rule"),
            sorted(self._since().items()),
        )

    def _since(self) -> dict[Labels, float]:
        found: dict[Labels, float] = {}
        for state in self._states.values():
            key = self._names.alarm(state.asset, state.rule)
            if state.raised and state.raised_us is not None and OTHER not in key:
                found[key] = seconds(state.raised_us)
        return found


class Alerts:
    """Transitions counted since the start, and how long they took to be known.

    Counted from 0 at each start, as Prometheus expects of a process: had the log been counted
    anew, each message that its retention took away would look like a reset, and all the others
    like news. How often an alarm was raised ever is in its state.
    """

    wanted = (Wanted(ALERTS, Start.END),)

    def __init__(self, names: Names) -> None:
        self._counts: Counter[Labels] = Counter()
        self._ids = Recent(_MOST_IDS)
        self._latency = {one.value: Buckets() for one in (Transition.RAISED, Transition.CLEARED)}

    def take(self, record: Record, now_us: int, live: bool) -> str | None:
        """Counts the alert in `record`; why not, if not. Raises MessageError."""
        alert = decode_json(Alert, record.value)
        if self._ids.again(alert.id):
            return "repeated"
        if not live:
            return "history"
        if alert.backfill:
            return "backfill"
        name = alert.transition.value
        self._counts[(name, alert.severity.value, alert.alarm_class.value)] += 1
        if alert.received_us > 0 and name in self._latency:
            self._latency[name].observe(seconds(record.timestamp_ms * 1000 - alert.received_us))
        return None

    def families(self, now_us: int) -> Iterator[Family]:
        """The counts and the latencies."""
        every = [
            (t.value, s.value, c.value) for t in Transition for s in Severity for c in AlarmClass
        ]
        yield counter(
            "vigia_alerts_total",
            "What happened to alarms since this exporter started.",
            ("transition", "severity", "class"),
            [(key, self._counts[key]) for key in every],
        )
        yield histogram(
            "vigia_alert_latency_seconds",
            "From the edge's receipt of the row that completed a window to the broker's time.",
            ("transition",),
            [((name,), one.histogram()) for name, one in self._latency.items()],
        )
