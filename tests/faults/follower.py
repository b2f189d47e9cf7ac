"""Everything that comes to be on the topics, read beside the line and counted apart from it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from broker.reader import read
from contracts.errors import BrokerError, MessageError
from contracts.headers import header_map
from contracts.messages import AlarmState, Alert, DetectionBatch, Status, decode_json
from contracts.readings import Quality, ReadingDecoder
from contracts.record import Record
from tests.chaos.line import Outcome, same_alert

TOPICS = ("readings", "detections", "alarms", "alerts", "status", "dead-letters")


@dataclass
class Follower:
    """`rows` has each asset's values by time, `copies` how often each row is on the log beyond the
    first time, `torn` rows that are there with other values. See Outcome for what was decided."""

    bootstrap: str
    prefix: str
    rows: defaultdict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    copies: int = 0
    torn: int = 0
    marks: defaultdict[str, list[tuple[int, Quality]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    outcome: Outcome = field(default_factory=Outcome)
    windows: defaultdict[tuple[str, str], dict[int, float | None]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    reasons: defaultdict[tuple[str, str], dict[int, str]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    newest_us: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    alerts: list[Alert] = field(default_factory=list)
    statuses: dict[str, Status] = field(default_factory=dict)
    letters: Counter[str] = field(default_factory=Counter)
    _next: dict[tuple[str, int], int] = field(default_factory=dict)
    _decoder: ReadingDecoder = field(default_factory=ReadingDecoder)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, topics: Sequence[str] = TOPICS) -> None:
        """Begins to read."""
        self._tasks += [asyncio.create_task(self._follow(name)) for name in topics]

    async def stop(self) -> None:
        """Ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def anew(self, topic: str) -> None:
        """The topic was deleted and is made again: its offsets begin at 0."""
        self._next = {key: at for key, at in self._next.items() if key[0] != topic}

    async def _follow(self, name: str) -> None:
        while True:
            with suppress(BrokerError):
                async for record in read(self.bootstrap, f"{self.prefix}.{name}"):
                    key = (name, record.partition)
                    if record.offset >= self._next.get(key, 0):
                        self._next[key] = record.offset + 1
                        self.take(name, record)
            await asyncio.sleep(0.5)

    def take(self, name: str, record: Record) -> None:
        """Counts one record of a topic."""
        match name:
            case "readings":
                self._reading(record)
            case "detections":
                self._detections(record)
            case "alarms":
                state = decode_json(AlarmState, record.value)
                self.outcome.alarms[state.alarm] = state
            case "alerts":
                self._alert(decode_json(Alert, record.value))
            case "status":
                status = decode_json(Status, record.value)
                self.statuses[status.process] = status
            case "dead-letters":
                self.letters[header_map(record.headers)["ce_reason"].decode()] += 1

    def _reading(self, record: Record) -> None:
        with suppress(MessageError):
            self._rows(record)

    def _rows(self, record: Record) -> None:
        batch = self._decoder.decode(record.value, record.headers)
        first, codes = batch.values[:, 0].tolist(), batch.quality[:, 0].tolist()
        mine = self.rows[batch.asset]
        for time_us, value, code in zip(batch.times_us.tolist(), first, codes, strict=True):
            if code not in (Quality.GOOD, Quality.HELD):
                self.marks[batch.asset].append((time_us, Quality(code)))
            if value != value:
                continue
            self.copies += time_us in mine
            self.torn += mine.setdefault(time_us, value) != value

    def _detections(self, record: Record) -> None:
        with suppress(MessageError):
            batch = decode_json(DetectionBatch, record.value)
            key = (batch.asset, batch.detector)
            for one in batch.items:
                self.outcome.add(one)
                self.windows[key].setdefault(one.start_us, one.score)
                self.reasons[key].setdefault(one.start_us, one.reason)
                self.newest_us[key] = max(self.newest_us[key], one.end_us)

    def _alert(self, alert: Alert) -> None:
        known = self.outcome.alerts.setdefault(alert.id, alert)
        self.outcome.conflicts += not same_alert(known, alert)
        if known is alert:
            self.alerts.append(alert)
