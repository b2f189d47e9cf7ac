"""Reads the line's topics, for those who look at it. Nothing is committed, nobody waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Protocol

from broker.cluster import Where
from broker.reader import read
from contracts.errors import BrokerError, DecodeError
from contracts.messages import (
    AlarmState,
    Alert,
    DetectionBatch,
    Status,
    decode_json,
)
from contracts.record import Record
from contracts.topics import ALARMS, ALERTS, DETECTIONS, STATUS, Topic, topic_name

_AGAIN_S = 1.0
_log = logging.getLogger(__name__)


class Looker(Protocol):
    """Who looks. `timestamp_us` is the broker's time of the message."""

    def on_status(self, status: Status) -> None:
        """A process told how it does."""

    def on_detections(self, batch: DetectionBatch, timestamp_us: int) -> None:
        """Detections came."""

    def on_alarm(self, state: AlarmState) -> None:
        """The present state of an alarm."""

    def on_alert(self, alert: Alert, timestamp_us: int) -> None:
        """Something happened to an alarm."""


async def feed(bootstrap: Where, prefix: str, looker: Looker, *, from_start: bool) -> None:
    """Tells `looker` all that comes, until cancelled. The present state of the alarms is told
    in any case, the rest of the past only with `from_start`; without it, what comes while Kafka
    does not answer may go untold."""
    async with asyncio.TaskGroup() as group:
        for topic, start, tell in (
            (STATUS, from_start, _statuses(looker)),
            (DETECTIONS, from_start, _detections(looker)),
            (ALARMS, True, _alarms(looker)),
            (ALERTS, from_start, _alerts(looker)),
        ):
            group.create_task(_follow(bootstrap, _Lane(topic, prefix, start), tell))


class _Lane:
    """One topic, and how far it was read: an outage tells nothing twice."""

    def __init__(self, topic: Topic, prefix: str, from_start: bool) -> None:
        self.name = topic_name(topic, prefix)
        self.from_start = from_start
        self._next: dict[int, int] = {}

    def is_new(self, record: Record) -> bool:
        new = record.offset >= self._next.get(record.partition, 0)
        self._next[record.partition] = max(record.offset + 1, self._next.get(record.partition, 0))
        return new


async def _follow(bootstrap: Where, lane: _Lane, tell: Callable[[Record], None]) -> None:
    while True:
        try:
            async with aclosing(read(bootstrap, lane.name, from_start=lane.from_start)) as records:
                async for record in records:
                    if lane.is_new(record):
                        _tell(record, tell)
        except BrokerError as error:
            _log.info("%s: %s", lane.name, error)
            await asyncio.sleep(_AGAIN_S)


def _tell(record: Record, tell: Callable[[Record], None]) -> None:
    try:
        tell(record)
    except DecodeError as error:
        _log.warning("%s/%d/%d: %s", record.topic, record.partition, record.offset, error)


def _statuses(looker: Looker) -> Callable[[Record], None]:
    return lambda record: looker.on_status(decode_json(Status, record.value))


def _detections(looker: Looker) -> Callable[[Record], None]:
    return lambda record: looker.on_detections(
        decode_json(DetectionBatch, record.value), record.timestamp_ms * 1000
    )


def _alarms(looker: Looker) -> Callable[[Record], None]:
    return lambda record: looker.on_alarm(decode_json(AlarmState, record.value))


def _alerts(looker: Looker) -> Callable[[Record], None]:
    return lambda record: looker.on_alert(
        decode_json(Alert, record.value), record.timestamp_ms * 1000
    )
