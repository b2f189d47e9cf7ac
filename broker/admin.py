"""Connections that ask a cluster about itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    BrokerNotAvailableError,
    KafkaError,
    KafkaTimeoutError,
    KafkaUnavailableError,
)

from broker.metadata import ask_seldom
from contracts.errors import BrokerError

# aiokafka calls these final. An answer that did not come in time may come the next time.
_PASSING = (BrokerNotAvailableError, KafkaTimeoutError, KafkaUnavailableError)


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client; Kafka's errors inside the block become BrokerError."""
    client = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, client_id="vigia-admin", request_timeout_ms=10_000
    )
    ask_seldom(client._client)
    with mapped(bootstrap):
        try:
            await client.start()
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def groupless_consumer(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that commits nothing; Kafka's errors inside the block become BrokerError."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id="vigia-reader",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4_194_304,
        request_timeout_ms=10_000,
    )
    ask_seldom(consumer._client)
    with mapped(bootstrap):
        try:
            await consumer.start()
            yield consumer
        finally:
            await _stop(consumer)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """While Kafka is away aiokafka ends what it is fetching and takes that for a cancellation of
    whoever stops it; its connections are then still open."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        await consumer._client.close()
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise


async def partition_counts(client: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, int]:
    """How many partitions each topic has; topics without leaders for all are left out."""
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in await client.describe_topics(list(topics))
        if topic["error_code"] == 0 and all(part["leader"] >= 0 for part in topic["partitions"])
    }


@contextmanager
def mapped(bootstrap: str) -> Iterator[None]:
    """Raises what aiokafka raises inside the block as BrokerError."""
    try:
        yield
    except KafkaError as error:
        text = f"Kafka at {bootstrap}: {str(error) or type(error).__name__}"
        raise BrokerError(text, retriable=passes(error)) from error


def passes(error: KafkaError) -> bool:
    """Whether what failed may go well when it is tried again."""
    return error.retriable or isinstance(error, _PASSING)
