"""The producer on a real Kafka: through outages nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from broker.kafka_local import LocalKafka
from broker.producer import Producer
from broker.reader import read
from broker.topics import TopicSpec, create_topics
from contracts.errors import BrokerError, MessageTooLarge
from contracts.partitions import partition_of
from contracts.record import Outgoing
from tests.conftest import RunningKafka

PARTITIONS = 3


@asynccontextmanager
async def started(bootstrap: str) -> AsyncIterator[Producer]:
    producer = Producer(bootstrap)
    await producer.start(timeout_s=30)
    try:
        yield producer
    finally:
        await producer.stop()


async def values(bootstrap: str, topic: str) -> dict[int, list[int]]:
    """The numbers in a topic, by partition, in their order."""
    found = defaultdict(list)
    async for record in read(bootstrap, topic, until_end=True):
        found[record.partition].append(int(record.value or b""))
    return dict(found)


def numbered(topic: str, numbers: range) -> list[Outgoing]:
    return [
        Outgoing(topic, None, str(n).encode(), [("x", b"y" * 50)], n % PARTITIONS) for n in numbers
    ]


async def test_an_acknowledged_record_is_where_it_says(
    kafka: RunningKafka, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}a"
    await create_topics(kafka.bootstrap, [TopicSpec(topic, PARTITIONS)])
    async with started(kafka.bootstrap) as producer:
        written = await producer.send(topic, b"north/line 1", b"v", [("h", b"1")])
        gone = await producer.send(topic, b"north/line 1", None, partition=written.partition)
    records = [record async for record in read(kafka.bootstrap, topic, until_end=True)]
    assert written.partition == partition_of("north/line 1", PARTITIONS)
    assert [(r.partition, r.offset, r.value, r.headers) for r in records] == [
        (written.partition, written.offset, b"v", [("h", b"1")]),
        (gone.partition, gone.offset, None, []),
    ]
    assert records[0].timestamp_ms == written.timestamp_ms


async def test_concurrent_sends_keep_the_order_of_the_calls(
    kafka: RunningKafka, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}a"
    await create_topics(kafka.bootstrap, [TopicSpec(topic, PARTITIONS)])
    async with started(kafka.bootstrap) as producer:
        sends = (
            producer.send(topic, None, str(n).encode(), partition=n % PARTITIONS)
            for n in range(3000)
        )
        await asyncio.gather(*sends)
    assert await values(kafka.bootstrap, topic) == {
        p: list(range(p, 3000, PARTITIONS)) for p in range(PARTITIONS)
    }


@pytest.mark.parametrize(
    ("interrupt", "away_s"),
    [
        (LocalKafka.kill, 0.0),
        (LocalKafka.stop, 0.0),
        # Longer than a request may take: aiokafka by itself would drop what waits.
        pytest.param(LocalKafka.kill, 12.0, marks=pytest.mark.slow),
    ],
)
async def test_a_restart_of_kafka_in_the_middle_loses_and_doubles_nothing(
    own_kafka: LocalKafka, interrupt: Callable[[LocalKafka], None], away_s: float
) -> None:
    count, chunk = 120_000, 20_000
    await create_topics(own_kafka.bootstrap, [TopicSpec("a", PARTITIONS)])
    halfway = asyncio.Event()

    async def write() -> None:
        for begin in range(0, count, chunk):
            await producer.send_all(numbered("a", range(begin, begin + chunk)))
            if begin >= count // 3:
                halfway.set()

    async with started(own_kafka.bootstrap) as producer:
        writing = asyncio.create_task(write())
        await halfway.wait()
        await asyncio.sleep(0)
        interrupt(own_kafka)
        assert not writing.done()
        await asyncio.sleep(away_s)
        await asyncio.to_thread(own_kafka.start)
        await writing
    assert await values(own_kafka.bootstrap, "a") == {
        p: list(range(p, count, PARTITIONS)) for p in range(PARTITIONS)
    }


async def test_single_sends_wait_for_kafka_and_keep_their_order(own_kafka: LocalKafka) -> None:
    await create_topics(own_kafka.bootstrap, [TopicSpec("a", 1)])
    async with started(own_kafka.bootstrap) as producer:
        await producer.send("a", None, b"0")
        own_kafka.kill()
        sends = [
            asyncio.create_task(producer.send("a", None, str(n).encode())) for n in range(1, 500)
        ]
        await asyncio.sleep(1.0)
        assert not any(send.done() for send in sends)
        await asyncio.to_thread(own_kafka.start)
        await asyncio.gather(*sends)
    assert await values(own_kafka.bootstrap, "a") == {0: list(range(500))}


async def test_a_stopped_producer_says_what_was_not_acknowledged(own_kafka: LocalKafka) -> None:
    await create_topics(own_kafka.bootstrap, [TopicSpec("a", 1)])
    producer = Producer(own_kafka.bootstrap)
    await producer.start()
    await producer.send("a", None, b"0")
    own_kafka.kill()
    single = asyncio.create_task(producer.send("a", None, b"1"))
    many = asyncio.create_task(producer.send_all(numbered("a", range(0, 9, PARTITIONS))))
    await asyncio.sleep(0.1)
    await producer.stop(patience_s=0.2)
    for task in (single, many):
        with pytest.raises(BrokerError, match="stopped"):
            await task


async def test_no_kafka_is_said_after_the_time_given() -> None:
    with pytest.raises(BrokerError, match="Connection refused") as caught:
        await Producer("127.0.0.1:9").start(timeout_s=0.5)
    assert caught.value.retriable


async def test_what_is_too_large_is_refused_and_the_rest_goes_on(
    kafka: RunningKafka, topic_prefix: str
) -> None:
    topic, narrow = f"{topic_prefix}a", f"{topic_prefix}narrow"
    specs = [TopicSpec(topic, PARTITIONS), TopicSpec(narrow, 1, {"max.message.bytes": "2000"})]
    await create_topics(kafka.bootstrap, specs)
    async with started(kafka.bootstrap) as producer:
        with pytest.raises(MessageTooLarge):
            await producer.send(topic, None, bytes(1_000_000))
        with pytest.raises(MessageTooLarge):
            await producer.send_all(
                [*numbered(topic, range(5)), Outgoing(topic, None, bytes(1_000_000))]
            )
        await producer.send(narrow, None, b"0")
        # This one Kafka itself refuses, and its number in the sequence is used up.
        with pytest.raises(MessageTooLarge):
            await producer.send(narrow, None, bytes(3000))
        await producer.send(narrow, None, b"1")
        await producer.send_all([Outgoing(narrow, None, b"2")])
        await producer.send(topic, None, bytes(999_000))
    assert await values(kafka.bootstrap, narrow) == {0: [0, 1, 2]}
    assert len([r async for r in read(kafka.bootstrap, topic, until_end=True)]) == 1


async def test_a_topic_or_partition_that_is_not_there_is_said(
    kafka: RunningKafka, topic_prefix: str
) -> None:
    await create_topics(kafka.bootstrap, [TopicSpec(f"{topic_prefix}a", 1)])
    async with started(kafka.bootstrap) as producer:
        with pytest.raises(BrokerError, match="no partition 1"):
            await producer.send(f"{topic_prefix}a", None, b"v", partition=1)
        with pytest.raises(BrokerError, match="there is no topic"):
            await producer.send(f"{topic_prefix}missing", None, b"v")
