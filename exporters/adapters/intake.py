"""Reads what an exporter wants from Kafka, for ever, and says whether that goes on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from broker.admin import admin, groupless_consumer, partition_counts
from broker.cluster import Where
from contracts.errors import BrokerError, TopicMissing
from contracts.record import Record
from contracts.topics import topic_name
from exporters.core.wanted import Start, Wanted
from exporters.ports import Exporter

_POLL_MS = 200
_PROBE_S = 5.0
_PATIENCE_S = 30.0
_BACKOFF_S = 1.0
_log = logging.getLogger(__name__)
Offsets = dict[TopicPartition, int]


class Intake:
    """Feeds `exporter`. Nothing is committed: where to begin follows from what it wants.

    After an outage it goes on where it was. Health is judged by offsets that advance while
    there is something to read, not by a connection that stands.
    """

    def __init__(
        self, bootstrap: Where, prefix: str, exporter: Exporter, now_us: Callable[[], int]
    ) -> None:
        self._bootstrap = bootstrap
        self._wants = {topic_name(one.topic, prefix): one for one in exporter.wants()}
        self._exporter = exporter
        self._now_us = now_us
        self._next: Offsets = {}
        self._live_from: Offsets = {}
        self._good_at = float("-inf")
        self._probed: Offsets = {}

    @property
    def caught_up(self) -> bool:
        """Whether all that was written before the start, and is wanted, has been read."""
        return bool(self._live_from) and all(
            self._next[place] >= offset for place, offset in self._live_from.items()
        )

    @property
    def healthy(self) -> bool:
        """Whether the reading advanced, or had nothing left to read, in the last 30 s."""
        return self.caught_up and time.monotonic() - self._good_at < _PATIENCE_S

    async def run(self) -> None:
        """Reads until cancelled. Raises BrokerError where trying again is no use."""
        while True:
            try:
                await self._follow()
            except BrokerError as error:
                if not error.retriable:
                    raise
                _log.warning("not reading: %s", error)
            await asyncio.sleep(_BACKOFF_S)

    async def _follow(self) -> None:
        places = await self._places()
        async with groupless_consumer(self._bootstrap) as consumer:
            consumer.assign(places)
            if not self._live_from:
                await self._choose_starts(consumer, places)
            await self._begin_anew(consumer, places)
            for place in places:
                consumer.seek(place, self._next[place])
            probe_at = 0.0
            while True:
                await self._read_some(consumer)
                if time.monotonic() >= probe_at:
                    await self._probe(consumer, places)
                    probe_at = time.monotonic() + _PROBE_S

    async def _places(self) -> list[TopicPartition]:
        async with admin(self._bootstrap) as client:
            counts = await partition_counts(client, list(self._wants))
        if missing := sorted(self._wants.keys() - counts.keys()):
            raise TopicMissing(*missing)
        return [TopicPartition(name, at) for name in self._wants for at in range(counts[name])]

    async def _choose_starts(
        self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]
    ) -> None:
        begins: Offsets = await consumer.beginning_offsets(places)
        ends: Offsets = await consumer.end_offsets(places)
        for place in places:
            self._next[place] = _start(self._wants[place.topic], begins[place], ends[place])
        self._live_from = ends

    async def _begin_anew(
        self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]
    ) -> None:
        """A log that ends before where we stand is another than that we read: its topic was
        deleted and made again since, and all that is in it is new."""
        ends: Offsets = await consumer.end_offsets(places)
        for place in places:
            if ends[place] < self._next[place]:
                self._next[place] = self._live_from[place] = 0

    async def _read_some(self, consumer: AIOKafkaConsumer) -> None:
        found = await consumer.getmany(timeout_ms=_POLL_MS)
        for place, messages in found.items():
            for message in messages:
                live = message.offset >= self._live_from[place]
                self._exporter.apply(_record(message), self._now_us(), live=live)
                self._next[place] = message.offset + 1

    async def _probe(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        """Asks the broker where the log ends: that it answers is half of being well."""
        ends: Offsets = await consumer.end_offsets(places)
        for place in places:
            # The last offsets may hold no record: compacted away, or marks of transactions.
            self._next[place] = max(self._next[place], await consumer.position(place))
        behind = any(self._next[place] < ends[place] for place in places)
        if not behind or self._next != self._probed:
            self._good_at = time.monotonic()
        self._probed = dict(self._next)


def _start(wanted: Wanted, begin: int, end: int) -> int:
    match wanted.start:
        case Start.BEGINNING:
            return begin
        case Start.RECENT:
            return max(begin, end - wanted.recent)
        case Start.END:
            return end


def _record(message: ConsumerRecord) -> Record:
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        list(message.headers),
        message.timestamp,
    )
