"""Connections that ask a cluster about itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    BrokerNotAvailableError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    TopicAuthorizationFailedError,
)

from broker.cluster import Where, cluster
from broker.metadata import ask_seldom
from broker.refusal import refusal
from contracts.errors import BrokerError

# aiokafka calls these final. An answer that did not come in time may come the next time, and who
# looks after Kafka may give what was not allowed.
DENIED = {
    TopicAuthorizationFailedError: "the topic {}",
    GroupAuthorizationFailedError: "the consumer group {}",
    # Who may write none gets no number as a producer, and the cluster says so.
    ClusterAuthorizationFailedError: "to write to any topic",
}
_PASSING = (BrokerNotAvailableError, KafkaTimeoutError, KafkaUnavailableError, *DENIED)


@asynccontextmanager
async def admin(bootstrap: Where) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client; Kafka's errors inside the block become BrokerError."""
    client = AIOKafkaAdminClient(
        **cluster(bootstrap).fresh().options(), client_id="vigia-admin", request_timeout_ms=10_000
    )
    ask_seldom(client._client)
    with mapped(bootstrap):
        try:
            await _start(client, bootstrap)
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def groupless_consumer(bootstrap: Where) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that commits nothing; Kafka's errors inside the block become BrokerError."""
    consumer = AIOKafkaConsumer(
        **cluster(bootstrap).fresh().options(),
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
            await _start(consumer, bootstrap)
            yield consumer
        finally:
            await _stop(consumer)


async def _start(client: AIOKafkaAdminClient | AIOKafkaConsumer, bootstrap: Where) -> None:
    """Says why Kafka does not let us in; aiokafka only says that it does not."""
    try:
        await client.start()
    except KafkaConnectionError as error:
        if why := await refusal(bootstrap):
            raise BrokerError(f"Kafka at {bootstrap}: {why}", retriable=True) from error
        raise


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
    """How many partitions each topic has; topics without leaders for all are left out. Raises
    aiokafka's TopicAuthorizationFailedError for those that we may not see."""
    found = await client.describe_topics(list(topics))
    denied = TopicAuthorizationFailedError.errno
    if hidden := sorted(one["topic"] for one in found if one["error_code"] == denied):
        raise TopicAuthorizationFailedError(*hidden)
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in found
        if topic["error_code"] == 0 and all(part["leader"] >= 0 for part in topic["partitions"])
    }


@contextmanager
def mapped(bootstrap: Where) -> Iterator[None]:
    """Raises what aiokafka raises inside the block as BrokerError."""
    try:
        yield
    except KafkaError as error:
        raise BrokerError(told(error, bootstrap), retriable=passes(error)) from error


def told(error: KafkaError, bootstrap: Where) -> str:
    """For a person: what Kafka does not do, and for whom where it does not allow it."""
    user = cluster(bootstrap).user
    for kind, what in DENIED.items():
        if isinstance(error, kind):
            who = f"user {user.name}" if user else "who comes without a user"
            names = what.format(", ".join(_names(error)))
            return f"Kafka at {bootstrap}: {who} is not allowed {names}"
    return f"Kafka at {bootstrap}: {str(error) or type(error).__name__}"


def _names(error: KafkaError) -> list[str]:
    """Of topics or groups: aiokafka gives one, or a set of them."""
    found: list[str] = []
    for one in error.args:
        found += sorted(one) if isinstance(one, set | frozenset) else [str(one)]
    return found


def passes(error: KafkaError) -> bool:
    """Whether what failed may go well when it is tried again."""
    return error.retriable or isinstance(error, _PASSING)
