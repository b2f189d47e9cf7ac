"""Reads topics without a consumer group: nothing is committed, nobody is rebalanced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from broker.admin import admin, groupless_consumer, partition_counts
from broker.cluster import Where
from contracts.errors import BrokerError, TopicMissing
from contracts.record import Record

_POLL_MS = 200


async def read(
    bootstrap: Where,
    topic: str,
    *,
    from_start: bool = True,
    until_end: bool = False,
    until_idle_s: float | None = None,
) -> AsyncGenerator[Record, None]:
    """The records of all partitions of `topic`, each partition's in order.

    It ends with `until_end` at the last record that was there at the call, with
    `until_idle_s` when nothing came for so long, else never. While Kafka is away it waits
    once it has begun. Raises BrokerError when Kafka or the topic is not there at the start.
    """
    places = await _places(bootstrap, topic)
    async with groupless_consumer(bootstrap) as consumer:
        consumer.assign(places)
        begin = await (consumer.beginning_offsets if from_start else consumer.end_offsets)(places)
        end = await consumer.end_offsets(places) if until_end else None
        async with aclosing(_records(consumer, begin, end, until_idle_s)) as records:
            async for record in records:
                yield record


async def read_tail(bootstrap: Where, topic: str, partition: int, max_records: int) -> list[Record]:
    """The last `max_records` offsets of a partition; fewer records where it is compacted."""
    async with aclosing(tail(bootstrap, topic, partition, max_records)) as records:
        return [record async for record in records]


async def tail(
    bootstrap: Where, topic: str, partition: int, max_records: int | None
) -> AsyncGenerator[Record, None]:
    """The same, one by one; all of the partition where `max_records` is None."""
    places = [place for place in await _places(bootstrap, topic) if place.partition == partition]
    if not places:
        raise BrokerError(f"topic {topic} has no partition {partition}")
    async with groupless_consumer(bootstrap) as consumer:
        consumer.assign(places)
        begin = await consumer.beginning_offsets(places)
        end = await consumer.end_offsets(places)
        if max_records is not None:
            begin = {place: max(begin[place], end[place] - max_records) for place in places}
        async with aclosing(_records(consumer, begin, end, None)) as records:
            async for record in records:
                yield record


async def read_compacted(
    bootstrap: Where, topic: str, partition: int
) -> AsyncGenerator[Record, None]:
    """All records of a partition up to its present end, in order; of a key the last counts. There
    may be many more than keys: what is not compacted yet."""
    async with aclosing(tail(bootstrap, topic, partition, None)) as records:
        async for record in records:
            yield record


async def end_offsets(bootstrap: Where, topic: str) -> dict[int, int]:
    """The offset that the next record of each partition will have."""
    places = await _places(bootstrap, topic)
    async with groupless_consumer(bootstrap) as consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        return {place.partition: offset for place, offset in ends.items()}


async def _records(
    consumer: AIOKafkaConsumer,
    begin: Mapping[TopicPartition, int],
    end: Mapping[TopicPartition, int] | None,
    until_idle_s: float | None,
) -> AsyncGenerator[Record, None]:
    for place, offset in begin.items():
        consumer.seek(place, offset)
    clock = asyncio.get_running_loop().time
    last = clock()
    while end is None or not await _reached(consumer, end):
        for place, found in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
            last = clock()
            for message in found:
                if end is None or message.offset < end[place]:
                    yield _record(message)
        if until_idle_s is not None and clock() - last >= until_idle_s:
            return


async def _reached(consumer: AIOKafkaConsumer, end: Mapping[TopicPartition, int]) -> bool:
    # By position, not by the last record: the last offsets may be compacted away.
    for place, offset in end.items():
        if await consumer.position(place) < offset:
            return False
    return True


async def _places(bootstrap: Where, topic: str) -> list[TopicPartition]:
    async with admin(bootstrap) as client:
        counts = await partition_counts(client, [topic])
    if topic not in counts:
        raise TopicMissing(topic)
    return [TopicPartition(topic, number) for number in range(counts[topic])]


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
