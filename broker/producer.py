"""The producer of all rooms: it sends again until Kafka has acknowledged."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
    UnknownTopicOrPartitionError,
)

from broker.admin import DENIED, passes, told
from broker.batches import Batch, batches, check_size
from broker.cluster import Where, cluster
from broker.patient import PatientProducer
from broker.refusal import refusal
from contracts.errors import BrokerError, MessageTooLarge, TopicMissing
from contracts.partitions import partition_of_bytes
from contracts.record import Outgoing

_BACKOFF_S = 0.2
_DENIED_S = 1.0
_SAY_AGAIN_S = 30.0
_log = logging.getLogger(__name__)
_IDENTITY_LOST = (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)


@dataclass(frozen=True, slots=True)
class Written:
    """Where an acknowledged record lies; `offset` is -1 where Kafka had it already."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


class Producer:
    """Idempotent, `acks=all`. While Kafka is away its callers wait; nothing expires.

    The buffer is bounded: one open batch a partition and one under way, `max_batch_bytes`
    each. Records of one partition are written in the order of the calls. Across an outage
    of Kafka nothing is lost and nothing doubled. Only when Kafka itself forgets what it had
    acknowledged (a power cut) may records come twice, and out of order.
    """

    def __init__(
        self,
        bootstrap: Where,
        *,
        client_id: str = "vigia",
        max_message_bytes: int = 1_000_000,
        max_batch_bytes: int = 262_144,
        linger_ms: int = 0,
    ) -> None:
        self._options = {
            "client_id": client_id,
            "max_request_size": max_message_bytes,
            "max_batch_size": max_batch_bytes,
            "linger_ms": linger_ms,
            "request_timeout_ms": 10_000,
            "retry_backoff_ms": 200,
        }
        self._where = cluster(bootstrap)
        self._said_s = -math.inf
        self._max_message_bytes = max_message_bytes
        self._max_batch_bytes = max_batch_bytes
        self._connection: PatientProducer | None = None
        self._renewal = asyncio.Lock()
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._unkeyed = 0

    async def start(self, timeout_s: float | None = None) -> None:
        """Connects; tries until Kafka is there, or raises BrokerError after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                self._connection = await self._connect()
        except TimeoutError:
            why = await refusal(self._where) or "no answer"
            raise BrokerError(f"Kafka at {self._where}: {why}", retriable=True) from None

    async def learn(self, topics: Iterable[str]) -> None:
        """Asks Kafka for the partitions of `topics`, so that no first message waits for that; one
        that is not there is found missing by who sends to it."""
        for topic in topics:
            with suppress(BrokerError):
                await self._partitions(topic)

    async def stop(self, patience_s: float = 5.0) -> None:
        """Waits for what is under way, `patience_s` at most; what is left raises BrokerError."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        flush = asyncio.ensure_future(connection.flush())
        await asyncio.wait([flush], timeout=patience_s)
        if not flush.done():
            flush.cancel()
            await connection.abandon()
        await connection.stop()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> Written:
        """Returns once the record is acknowledged.

        Without `partition` the key's hash chooses it. Raises MessageTooLarge; BrokerError
        when the topic or the partition does not exist, Kafka refuses the record, or the
        producer is stopped before.
        """
        record = Outgoing(topic, key, value, list(headers), partition)
        check_size(record, self._max_message_bytes)
        place = self._choose(record, await self._partitions(topic))
        while True:
            async with self._turns[topic, place]:
                connection, future = await self._append(record, place)
            try:
                done = await future
            except KafkaError as error:
                await self._recover(connection, error)
            else:
                return Written(done.topic, done.partition, done.offset, done.timestamp)

    async def send_all(self, records: Iterable[Outgoing]) -> None:
        """Returns once all records are acknowledged; raises as `send` does.

        A MessageTooLarge is raised before anything is sent.
        """
        records = list(records)
        known = {
            topic: await self._partitions(topic) for topic in {record.topic for record in records}
        }
        placed = [(record, self._choose(record, known[record.topic])) for record in records]
        waiting = list(
            batches(placed, most_bytes=self._max_batch_bytes, record_limit=self._max_message_bytes)
        )
        while waiting:
            waiting = await self._attempt(waiting)

    async def _attempt(self, waiting: Sequence[Batch]) -> list[Batch]:
        """Sends batches, several partitions at once; returns those to send again, in order."""
        sent = [(batch, *await self._append_batch(batch)) for batch in waiting]
        results = await asyncio.gather(*(future for _, _, future in sent), return_exceptions=True)
        again = []
        for (batch, connection, _), result in zip(sent, results, strict=True):
            if isinstance(result, KafkaError):
                await self._recover(connection, result)
                again.append(batch)
            elif isinstance(result, BaseException):
                raise result
        return again

    async def _append(
        self, record: Outgoing, partition: int
    ) -> tuple[PatientProducer, asyncio.Future[Any]]:
        while True:
            connection = self._connected()
            try:
                return connection, await connection.send(
                    record.topic,
                    record.value,
                    record.key,
                    partition=partition,
                    headers=record.headers,
                )
            except KafkaError as error:
                await self._recover(connection, error)

    async def _append_batch(self, batch: Batch) -> tuple[PatientProducer, asyncio.Future[Any]]:
        while True:
            connection = self._connected()
            builder = connection.create_batch()
            for record in batch.records:
                builder.append(
                    timestamp=None, key=record.key, value=record.value, headers=record.headers
                )
            builder.close()
            try:
                return connection, await connection.send_batch(
                    builder, batch.topic, partition=batch.partition
                )
            except KafkaError as error:
                await self._recover(connection, error)

    def _choose(self, record: Outgoing, known: set[int]) -> int:
        """The partition of a record, of those that its topic has."""
        if record.partition is None:
            if record.key is not None:
                return partition_of_bytes(record.key, len(known))
            self._unkeyed += 1
            return self._unkeyed % len(known)
        if record.partition not in known:
            raise BrokerError(f"topic {record.topic} has no partition {record.partition}")
        return record.partition

    async def _partitions(self, topic: str) -> set[int]:
        while True:
            connection = self._connected()
            try:
                found: set[int] = await connection.partitions_for(topic)
            except UnknownTopicOrPartitionError:
                # Raised while Kafka is away too; only Kafka itself can say that there is none.
                if await connection.client.force_metadata_update():
                    raise TopicMissing(topic, retriable=False) from None
            except KafkaError as error:
                await self._recover(connection, error)
            else:
                return found

    async def _recover(self, connection: PatientProducer, error: KafkaError) -> None:
        """Returns when sending again makes sense; raises what does not pass by waiting."""
        if self._connection is None:
            raise BrokerError("the producer was stopped", retriable=True) from error
        denied = isinstance(error, tuple(DENIED))
        if passes(error) and not denied:
            await asyncio.sleep(_BACKOFF_S)
            return
        # A batch that failed used up its numbers in the sequence: Kafka takes no later one
        # from this producer, so a new one goes on.
        await self._renew(connection)
        if denied:
            self._say(told(error, self._where))
            await asyncio.sleep(_DENIED_S)
            return
        if isinstance(error, MessageSizeTooLargeError):
            raise MessageTooLarge(f"Kafka's limit for the topic is lower: {error}") from error
        if not isinstance(error, _IDENTITY_LOST) and type(error) is not KafkaError:
            raise BrokerError(f"Kafka refuses the message: {error!r}") from error

    async def _renew(self, broken: PatientProducer) -> None:
        async with self._renewal:
            if self._connection is broken:
                await broken.abandon()
                self._connection = await self._connect()

    def _connected(self) -> PatientProducer:
        if self._connection is None:
            raise BrokerError("the producer is not started", retriable=True)
        return self._connection

    async def _connect(self) -> PatientProducer:
        while True:
            connection = PatientProducer(**self._options, **self._where.fresh().options())
            started = False
            try:
                await connection.start()
                started = True
                return connection
            except KafkaError as error:
                await self._refused(error)
            finally:
                if not started:
                    await connection.stop()

    async def _refused(self, error: KafkaError) -> None:
        """Says why there is no connection, and waits."""
        denied = isinstance(error, tuple(DENIED))
        if denied:
            self._say(told(error, self._where))
        elif self._silent and (why := await refusal(self._where)):
            self._say(f"Kafka at {self._where}: {why}")
        await asyncio.sleep(_DENIED_S if denied else _BACKOFF_S)

    @property
    def _silent(self) -> bool:
        return time.monotonic() - self._said_s >= _SAY_AGAIN_S

    def _say(self, text: str) -> None:
        """Once in a while: it is tried again several times a second."""
        if self._silent:
            self._said_s = time.monotonic()
            _log.warning("%s; trying again", text)
