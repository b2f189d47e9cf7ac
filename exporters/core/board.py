"""All that is known of a running line: the exporter behind the Prometheus metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from contracts.errors import MessageError
from contracts.messages import Account
from contracts.record import Record
from contracts.topics import topic_of
from exporters.core.alarms import AlarmStates, Alerts
from exporters.core.bounds import Names, Words
from exporters.core.detections import Detections
from exporters.core.families import Family, gauge
from exporters.core.lag import Lag, lag_families
from exporters.core.letters import Letters
from exporters.core.processes import Processes
from exporters.core.wanted import Wanted

STAGE = "exporters.messages"


class Part(Protocol):
    """What is known from one topic."""

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The topic."""

    def take(self, record: Record, now_us: int, live: bool) -> str | None:
        """Takes in a record; the reason where it changes nothing. Raises MessageError."""

    def families(self, now_us: int) -> Iterator[Family]:
        """What is known, as metrics."""


class Board:
    """An Exporter whose outside is `families`."""

    def __init__(self, names: Names, prefix: str) -> None:
        self._names = names
        self._prefix = prefix
        parts: tuple[Part, ...] = (
            Processes(names),
            Detections(names),
            AlarmStates(names),
            Alerts(names),
            Letters(),
        )
        self._parts = {wanted.topic.name: part for part in parts for wanted in part.wanted}
        self._taken = self._applied = 0
        self._dropped: Counter[str] = Counter()
        self._reasons = Words(50)
        self._lags: tuple[Lag, ...] = ()

    def wants(self) -> tuple[Wanted, ...]:
        """The topics to read."""
        return tuple(wanted for part in self._parts.values() for wanted in part.wanted)

    def apply(self, record: Record, now_us: int, *, live: bool) -> None:
        """Takes in one record; see exporters.ports.Exporter."""
        self._taken += 1
        topic = topic_of(record.topic, self._prefix)
        part = self._parts.get(topic.name) if topic else None
        try:
            reason = part.take(record, now_us, live) if part else "topic"
        except MessageError as error:
            reason = error.reason
        if reason is None:
            self._applied += 1
        else:
            self._dropped[self._reasons.label(reason)] += 1

    def tell_lags(self, lags: tuple[Lag, ...]) -> None:
        """The lags of the consumer groups, which stand in no topic."""
        self._lags = lags

    def account(self) -> dict[str, Account]:
        """The books of this exporter."""
        return {
            STAGE: Account(
                unit="message",
                taken_in=self._taken,
                gone_out=self._applied,
                held=0,
                dropped=dict(self._dropped),
            )
        }

    def families(self, now_us: int) -> Iterator[Family]:
        """All metrics, as of `now_us`."""
        yield gauge(
            "vigia_plant_info",
            "The plant file that this exporter reads by.",
            ("hash",),
            [((self._names.plant,), 1.0)],
        )
        for part in self._parts.values():
            yield from part.families(now_us)
        yield from lag_families(self._lags)
