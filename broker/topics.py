"""Creates topics from values."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import InvalidReplicationFactorError, TopicAlreadyExistsError, for_code

from broker.admin import admin, partition_counts
from broker.cluster import Where
from contracts.errors import BrokerError

_PATIENCE_S = 20.0
_BACKOFF_S = 0.2


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it shall be; `config` are Kafka's topic settings."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    replication: int = 1


async def create_topics(bootstrap: Where, specs: Sequence[TopicSpec]) -> list[str]:
    """Creates the topics that are missing and returns their names, once all have leaders.

    Doing it again changes nothing. Raises BrokerError when a topic exists with another
    number of partitions (an asset would change its place), or Kafka does not do it in 20 s.
    """
    try:
        async with asyncio.timeout(_PATIENCE_S), admin(bootstrap) as client:
            there = await partition_counts(client, [spec.name for spec in specs])
            missing = [spec for spec in specs if spec.name not in there]
            created = [spec.name for spec in missing if await _create(client, spec)]
            found = await _when_led(client, [spec.name for spec in specs])
    except TimeoutError:
        text = f"Kafka at {bootstrap} did not create the topics in {_PATIENCE_S:.0f} s"
        raise BrokerError(text, retriable=True) from None
    _check_partitions(specs, found)
    return created


async def _create(client: AIOKafkaAdminClient, spec: TopicSpec) -> bool:
    """Whether it had to be created. Waits while Kafka has no broker ready for it."""
    topic = NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=dict(spec.config))
    while True:
        response = await client.create_topics([topic])
        _, code, *text = response.topic_errors[0]
        error = for_code(code)
        if code == 0:
            return True
        if error is TopicAlreadyExistsError:
            return False
        # Just started, Kafka counts no live broker and calls any replication too high.
        if not error.retriable and error is not InvalidReplicationFactorError:
            raise BrokerError(f"topic {spec.name}: {text[0] if text else error.__name__}")
        await asyncio.sleep(_BACKOFF_S)


async def _when_led(client: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, int]:
    while True:
        found = await partition_counts(client, names)
        if set(names) <= set(found):
            return found
        await asyncio.sleep(_BACKOFF_S)


def _check_partitions(specs: Sequence[TopicSpec], found: Mapping[str, int]) -> None:
    wrong = [
        f"{spec.name} has {found[spec.name]}, asked for are {spec.partitions}"
        for spec in specs
        if found[spec.name] != spec.partitions
    ]
    if wrong:
        raise BrokerError(f"the number of partitions is fixed at creation: {'; '.join(wrong)}")
