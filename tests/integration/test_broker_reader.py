"""Reading without a group, topics and lag, on a real Kafka."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from broker.admin import groupless_consumer
from broker.kafka_local import LocalKafka
from broker.lag import group_lag
from broker.producer import Producer
from broker.reader import end_offsets, read, read_compacted, read_tail
from broker.topics import TopicSpec, create_topics
from contracts.errors import BrokerError
from contracts.record import Outgoing, Record
from tests.conftest import RunningKafka


async def write(bootstrap: str, topic: str, numbers: range, partition: int = 0) -> None:
    producer = Producer(bootstrap)
    await producer.start()
    await producer.send_all(
        Outgoing(topic, str(n % 3).encode(), str(n).encode(), [], partition) for n in numbers
    )
    await producer.stop()


def numbers(records: list[Record]) -> list[int]:
    return [int(record.value or b"") for record in records]


async def test_until_end_stops_at_what_was_there(kafka: RunningKafka, topic_prefix: str) -> None:
    topic = f"{topic_prefix}a"
    await create_topics(kafka.bootstrap, [TopicSpec(topic, 2)])
    assert [r async for r in read(kafka.bootstrap, topic, until_end=True)] == []
    await write(kafka.bootstrap, topic, range(1000))
    async with aclosing(read(kafka.bootstrap, topic, until_end=True)) as records:
        found = [await anext(records)]
        await write(kafka.bootstrap, topic, range(1000, 1010))
        found += [record async for record in records]
    assert numbers(found) == list(range(1000))


async def test_from_the_end_until_idle(kafka: RunningKafka, topic_prefix: str) -> None:
    topic = f"{topic_prefix}a"
    await create_topics(kafka.bootstrap, [TopicSpec(topic, 1)])
    await write(kafka.bootstrap, topic, range(10))
    found: list[Record] = []

    async def follow() -> None:
        records = read(kafka.bootstrap, topic, from_start=False, until_idle_s=2.0)
        async for record in records:
            found.append(record)

    following = asyncio.create_task(follow())
    await asyncio.sleep(1.0)
    await write(kafka.bootstrap, topic, range(10, 15))
    await following
    assert numbers(found) == list(range(10, 15))


async def test_tail_and_whole_partition(kafka: RunningKafka, topic_prefix: str) -> None:
    topic = f"{topic_prefix}a"
    await create_topics(kafka.bootstrap, [TopicSpec(topic, 2)])
    await write(kafka.bootstrap, topic, range(500), partition=1)
    bootstrap = kafka.bootstrap
    assert numbers(await read_tail(bootstrap, topic, 1, 7)) == list(range(493, 500))
    assert numbers(await read_tail(bootstrap, topic, 1, 9000)) == list(range(500))
    assert await read_tail(bootstrap, topic, 0, 7) == []
    assert numbers([r async for r in read_compacted(bootstrap, topic, 1)]) == list(range(500))
    assert await end_offsets(bootstrap, topic) == {0: 0, 1: 500}
    with pytest.raises(BrokerError, match="no partition 2"):
        await read_tail(bootstrap, topic, 2, 7)
    with pytest.raises(BrokerError, match="there is no topic"):
        await anext(read_compacted(bootstrap, f"{topic}-missing", 0))


async def test_following_goes_on_after_kafka_was_killed(own_kafka: LocalKafka) -> None:
    await create_topics(own_kafka.bootstrap, [TopicSpec("a", 1)])
    await write(own_kafka.bootstrap, "a", range(100))
    found: list[Record] = []
    async with aclosing(read(own_kafka.bootstrap, "a")) as records:
        while len(found) < 100:
            found.append(await anext(records))
        own_kafka.kill()
        following = asyncio.ensure_future(anext(records))
        await asyncio.sleep(1.0)
        await asyncio.to_thread(own_kafka.start)
        await write(own_kafka.bootstrap, "a", range(100, 200))
        found.append(await following)
        while len(found) < 200:
            found.append(await anext(records))
    assert numbers(found) == list(range(200))


async def test_no_kafka_is_a_broker_error() -> None:
    with pytest.raises(BrokerError, match=r"Kafka at 127\.0\.0\.1:9") as caught:
        await read_tail("127.0.0.1:9", "a", 0, 1)
    assert caught.value.retriable


async def test_topics_are_created_once(kafka: RunningKafka, topic_prefix: str) -> None:
    specs = [
        TopicSpec(f"{topic_prefix}a", 2, {"retention.ms": "1000"}),
        TopicSpec(f"{topic_prefix}b", 3, {"cleanup.policy": "compact"}),
    ]
    assert await create_topics(kafka.bootstrap, specs) == [spec.name for spec in specs]
    assert await create_topics(kafka.bootstrap, specs) == []
    with pytest.raises(BrokerError, match=r"b has 3, asked for are 4"):
        await create_topics(kafka.bootstrap, [TopicSpec(f"{topic_prefix}b", 4)])
    with pytest.raises(BrokerError, match=r"(?i)retention\.ms|invalid"):
        await create_topics(
            kafka.bootstrap, [TopicSpec(f"{topic_prefix}c", 1, {"retention.ms": "soon"})]
        )


async def test_lag_of_a_group(kafka: RunningKafka, topic_prefix: str) -> None:
    topic, group = f"{topic_prefix}a", f"{topic_prefix}group"
    await create_topics(kafka.bootstrap, [TopicSpec(topic, 2)])
    await write(kafka.bootstrap, topic, range(10), partition=1)
    before = await group_lag(kafka.bootstrap, group, [topic])
    assert [(p.partition, p.committed, p.end, p.lag) for p in before] == [
        (0, None, 0, 0),
        (1, None, 10, 10),
    ]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign([TopicPartition(topic, 1)])
    await consumer.commit({TopicPartition(topic, 1): 4})
    await consumer.stop()
    after = await group_lag(kafka.bootstrap, group, [topic])
    assert [(p.partition, p.committed, p.lag) for p in after] == [(0, None, 0), (1, 4, 6)]
    with pytest.raises(BrokerError, match="there is no topic"):
        await group_lag(kafka.bootstrap, group, [f"{topic}-missing"])


async def test_a_reader_ends_while_kafka_is_away(own_kafka: LocalKafka) -> None:
    """As itself: aiokafka's own tasks ended it as if it had been cancelled."""
    await create_topics(own_kafka.bootstrap, [TopicSpec("a", 2)])
    async with groupless_consumer(own_kafka.bootstrap) as consumer:
        consumer.assign([TopicPartition("a", 0), TopicPartition("a", 1)])
        await consumer.getmany(timeout_ms=200)
        own_kafka.kill()
        await asyncio.sleep(1)
    assert consumer._closed
    assert not consumer._client._conns
