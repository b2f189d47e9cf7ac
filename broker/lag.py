"""How far a consumer group is behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)

from broker.admin import admin, groupless_consumer, partition_counts
from broker.cluster import Where
from contracts.errors import BrokerError, TopicMissing

_NOT_READY = (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)
_TRIES = 50
_BACKOFF_S = 0.2


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far a group is with one partition; `committed` is None before its first commit.

    `begin` is the oldest record's offset, `end` the one that the next record will have.
    """

    topic: str
    partition: int
    committed: int | None
    begin: int
    end: int

    @property
    def lag(self) -> int:
        """Records that are there and not committed."""
        return self.end - max(self.begin, self.committed or 0)


async def group_lag(bootstrap: Where, group: str, topics: Sequence[str]) -> list[PartitionLag]:
    """The lag of a consumer group on each partition of `topics`, in their order.

    Raises BrokerError when Kafka does not answer, TopicMissing when a topic is not there.
    """
    async with admin(bootstrap) as client:
        counts = await partition_counts(client, topics)
        if missing := sorted(set(topics) - set(counts)):
            raise TopicMissing(*missing)
        places = [TopicPartition(t, number) for t in topics for number in range(counts[t])]
        committed = await _committed(client, group, places)
    async with groupless_consumer(bootstrap) as consumer:
        consumer.assign(places)
        begins = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
    return [
        PartitionLag(
            place.topic,
            place.partition,
            committed.get(place),
            begins[place],
            ends[place],
        )
        for place in places
    ]


async def _committed(
    client: AIOKafkaAdminClient, group: str, places: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    for _ in range(_TRIES):
        try:
            found = await client.list_consumer_group_offsets(group, partitions=list(places))
        except _NOT_READY:
            # Kafka makes the topic of offsets when it is first asked for one.
            await asyncio.sleep(_BACKOFF_S)
        else:
            return {place: at.offset for place, at in found.items() if at.offset >= 0}
    raise BrokerError(f"no coordinator for group {group}", retriable=True)
