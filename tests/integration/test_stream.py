"""Stream workers on a real Kafka: killed, poisoned, and with Kafka restarted under them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.kafka_local import LocalKafka
from broker.producer import Producer
from broker.reader import read
from broker.topics import TopicSpec, create_topics
from contracts.errors import BrokerError
from contracts.headers import header_map
from contracts.messages import Account
from contracts.partitions import partition_of
from contracts.readings import encode
from contracts.record import Outgoing, Record
from stream.adapters.faust_log import FaustLog
from stream.ports import Settled
from tests.chaos.__main__ import Settings, chaos
from tests.chaos.line import Line, Outcome, equal, outcome, same_alarms
from tests.chaos.world import DETECTORS, batches, count_windows, write_plant
from tests.conftest import RunningKafka

ASSETS = [f"chaos/a{number:03d}" for number in range(12)]
PARTITIONS = 4


async def line(bootstrap: str, folder: Path, prefix: str, rows: int, seed: int = 5) -> Line:
    plant = write_plant(folder, ASSETS, prefix, PARTITIONS)
    made = Line(bootstrap, prefix, PARTITIONS, plant, batches(seed, ASSETS, rows))
    await made.create()
    return made


async def calm(bootstrap: str, folder: Path, prefix: str, rows: int) -> Outcome:
    made = await line(bootstrap, folder, prefix, rows)
    await made.publish()
    made.start("a")
    try:
        await made.drained()
    finally:
        made.close()
    return await outcome(made)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_killed_workers_change_nothing(kafka: RunningKafka, tmp_path: Path) -> None:
    found = await chaos(
        Settings(seed=11, rows=40_000, frames=1_500, kills=3, assets=40), kafka.bootstrap, tmp_path
    )
    assert len(found["kills"]) == 3
    assert all(kill["lag"] and kill["open_windows"] for kill in found["kills"])
    assert found["alerts"] > 0
    assert found["equal"], found


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_kafka_restarted_under_a_worker(own_kafka: LocalKafka, tmp_path: Path) -> None:
    """Stopped in the middle and killed near the end: everything is decided, and alike."""
    reference = await calm(own_kafka.bootstrap, tmp_path, "calm", 12_000)
    shaken = await line(own_kafka.bootstrap, tmp_path, "shaken", 12_000)
    shaken.start("a")
    try:
        await shaken.publish(4_000)
        await asyncio.to_thread(own_kafka.stop)
        await asyncio.to_thread(own_kafka.start)
        await shaken.publish(8_000)
        await asyncio.to_thread(own_kafka.kill)
        await asyncio.to_thread(own_kafka.start)
        await shaken.publish()
        await shaken.drained()
    finally:
        shaken.close()
    found = await outcome(shaken)
    assert found.conflicts == 0
    assert equal(reference, found)
    assert same_alarms(reference, found)


async def test_what_is_no_batch_is_a_dead_letter_and_stops_nothing(
    kafka: RunningKafka, tmp_path: Path, topic_prefix: str
) -> None:
    prefix = topic_prefix.rstrip(".")
    made = await line(kafka.bootstrap, tmp_path, prefix, 600)
    topic = f"{prefix}.readings"
    value, headers = encode(batches(5, ASSETS, 600)[0], source="edge/x")
    poison = [
        (b"not arrow", headers),
        (value[: len(value) // 2], headers),
        (value, [h for h in headers if h[0] != "ce_wmafter"]),
        (value, [("ce_type", b"other")]),
        (b"", []),
    ]
    producer = Producer(kafka.bootstrap)
    await producer.start()
    for body, head in poison:
        for partition in range(PARTITIONS):
            await producer.send_all([Outgoing(topic, b"x", body, head, partition)])
    await producer.stop()
    await made.publish()
    made.start("a")
    try:
        await made.drained()
    finally:
        made.close()
    found = await outcome(made)
    assert len(found.detections) == len(count_windows(made.log)) * len(DETECTORS)
    letters = [r async for r in read(kafka.bootstrap, f"{prefix}.dead-letters", until_end=True)]
    assert len(letters) == len(poison) * PARTITIONS
    reasons = {header_map(letter.headers)["ce_reason"] for letter in letters}
    assert reasons == {b"undecodable", b"header", b"schema"}


async def test_a_worker_says_what_it_took_and_what_became_of_it(
    kafka: RunningKafka, tmp_path: Path, topic_prefix: str
) -> None:
    made = await line(kafka.bootstrap, tmp_path, topic_prefix.rstrip("."), 2_000)
    await made.publish()
    made.start("a")
    following = asyncio.create_task(made.follow_status())
    try:
        await made.drained()
        made.close()
        while not (
            made.statuses
            and (status := next(iter(made.statuses.values()))).account["stream.rows"].taken_in
            == 2_000
        ):
            await asyncio.sleep(0.1)
    finally:
        following.cancel()
        made.close()
    for stage, account in status.account.items():
        assert account.missing == 0, stage
    windows = status.account["stream.windows"]
    assert windows.gone_out == len(count_windows(made.log)) * len(DETECTORS)
    assert status.account["stream.alarms"].gone_out == windows.gone_out


def test_assets_keep_their_partition() -> None:
    assert {partition_of(asset, PARTITIONS) for asset in ASSETS} == set(range(PARTITIONS))


@dataclass
class _Counter:
    """An agent that counts records and is done with them at once."""

    seen: int = 0

    async def assigned(self, partitions: frozenset[int]) -> None:
        return

    async def handle(self, records: Sequence[Record]) -> Settled:
        self.seen += len(records)
        heads = {record.partition: record.offset + 1 for record in records}

        async def settle() -> Mapping[int, int]:
            return heads

        return settle

    def accounts(self) -> Mapping[str, Account]:
        return {}


@pytest.mark.slow
async def test_a_consumer_that_lives_and_does_not_consume_ends(
    kafka: RunningKafka, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}readings"
    await create_topics(kafka.bootstrap, [TopicSpec(topic, 2, {})])
    producer = Producer(kafka.bootstrap, client_id="test")
    await producer.start()
    log, agent = FaustLog(kafka.bootstrap, f"{topic_prefix}group"), _Counter()
    log.subscribe(topic, agent)
    running = asyncio.create_task(log.run())
    await producer.send_all([Outgoing(topic, b"k", b"v", [], 0)])
    async with asyncio.timeout(30):
        while not agent.seen:
            await asyncio.sleep(0.05)
    # As Faust does in a rebalance, after which it has been seen to forget to go on.
    log._app.consumer.stop_flow()
    await producer.send_all([Outgoing(topic, b"k", b"v", [], 0)])
    with pytest.raises(BrokerError, match=r"readings partition 0 was read for \d+ s"):
        await running
    assert agent.seen == 1
    await producer.stop()
