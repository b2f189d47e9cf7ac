"""Detections to alarms on the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from broker.cluster import Where
from broker.reader import read_compacted
from broker.status import Latency
from contracts.errors import DecodeError
from contracts.identity import alert_id
from contracts.messages import (
    Account,
    AlarmState,
    Alert,
    DetectionBatch,
    decode_json,
    encode_json,
    headers_for,
)
from contracts.partitions import partition_of
from contracts.plant.model import Kafka
from contracts.record import Outgoing, Record
from contracts.topics import ALARMS, ALERTS
from stream.adapters.letters import Letters
from stream.core.alarms import Alarms, keep_newest
from stream.ports import AlarmStore, Publisher, Settled

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CompactedAlarms:
    """The states on `vigia.alarms`."""

    bootstrap: Where
    topic: str

    async def load(self, partitions: Iterable[int]) -> list[AlarmState]:
        newest: dict[str, AlarmState] = {}
        for partition in sorted(partitions):
            # One by one: Kafka keeps many states of an alarm for hours before it compacts them.
            reading = read_compacted(self.bootstrap, self.topic, partition)
            async with aclosing(reading) as records:
                async for record in records:
                    for state in states_in([record]):
                        keep_newest(newest, state)
        return list(newest.values())


def states_in(records: Iterable[Record]) -> list[AlarmState]:
    """The states that can be read. One that cannot is said, and its alarm begins anew: a worker
    that ended for it would end again at each start."""
    states = []
    for record in records:
        try:
            if record.value is not None:
                states.append(decode_json(AlarmState, record.value))
        except DecodeError as error:
            where = f"{record.topic}[{record.partition}]@{record.offset}"
            _log.warning("%s is no state of an alarm: %s", where, error)
    return states


@dataclass(slots=True)
class AlarmAgent:
    """Runs an `Alarms` on records: first every alert is acknowledged, then the state that says
    it happened, then the offset. After a crash in between, the same alert comes again."""

    alarms: Alarms
    publisher: Publisher
    store: AlarmStore
    kafka: Kafka
    source: str
    now_us: Callable[[], int]
    latency: Latency = field(default_factory=Latency)
    _letters: Letters = field(init=False)
    _heads: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._letters = Letters(self.kafka.prefix, self.source)

    async def assigned(self, partitions: frozenset[int]) -> None:
        self._heads.clear()
        self.alarms.assign(await self.store.load(partitions))
        alerts, states = self.alarms.settle_unwatched(self.now_us())
        for alert in alerts:
            _log.info("%s is cleared: the plant file has nothing that watches it", alert.alarm)
        await self.publisher.send_all(map(self._alert, alerts))
        await self.publisher.send_all(map(self._state, states))

    async def handle(self, records: Sequence[Record]) -> Settled:
        alerts: list[Alert] = []
        states: dict[str, AlarmState] = {}
        letters = []
        self._letters.taken_in += len(records)
        for record in records:
            try:
                batch = decode_json(DetectionBatch, record.value)
            except DecodeError as error:
                letters.append(self._letters.letter(record, error))
            else:
                self._letters.used += 1
                happened, changed = self.alarms.apply(batch)
                alerts += happened
                states |= {state.alarm: state for state in changed}
            self._heads[record.partition] = record.offset + 1
        heads = dict(self._heads)

        async def settle() -> Mapping[int, int]:
            await self.publisher.send_all([*map(self._alert, alerts), *letters])
            await self.publisher.send_all(map(self._state, states.values()))
            now = self.now_us()
            for alert in alerts:
                if alert.backfill:
                    continue
                self.latency.observe((now - alert.received_us) / 1e6)
            return heads

        return settle

    def accounts(self) -> Mapping[str, Account]:
        return {"stream.detection-messages": self._letters.account(), **self.alarms.accounts()}

    def _alert(self, alert: Alert) -> Outgoing:
        return self._outgoing(ALERTS.name, alert, alert.id, alert.alarm, alert.asset)

    def _state(self, state: AlarmState) -> Outgoing:
        id = alert_id(state.alarm, state.phase, state.applied_us)
        return self._outgoing(ALARMS.name, state, id, state.alarm, state.asset)

    def _outgoing(
        self, topic: str, message: Alert | AlarmState, id: str, key: str, asset: str
    ) -> Outgoing:
        headers = headers_for(message, source=self.source, id=id, subject=key)
        partition = partition_of(asset, self.kafka.partitions)
        name = f"{self.kafka.prefix}.{topic}"
        return Outgoing(name, key.encode(), encode_json(message), headers, partition)
