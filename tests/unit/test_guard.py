"""A worker that lives and does not work ends; one that waits for others does not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from broker.lag import PartitionLag
from contracts.errors import BrokerError
from contracts.messages import Account
from contracts.record import Record
from stream.adapters.guard import READ_S, WORK_S, Guard, replaced
from stream.adapters.lane import MAX_WAITING, Lane
from stream.core.progress import Place
from stream.ports import Settled

TOPIC = "readings"


@dataclass
class SlowAgent:
    """Is done with records once `done` is set."""

    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def assigned(self, partitions: frozenset[int]) -> None:
        return

    async def handle(self, records: Sequence[Record]) -> Settled:
        async def settle() -> Mapping[int, int]:
            await self.done.wait()
            return {}

        return settle

    def accounts(self) -> Mapping[str, Account]:
        return {}


def kafka(end: int, committed: int | None = None, partition: int = 0) -> list[PartitionLag]:
    return [PartitionLag(TOPIC, partition, committed, 0, end)]


def records(count: int) -> list[Record]:
    return [Record(TOPIC, 0, at, b"k", b"v", [], 0) for at in range(count)]


@pytest.fixture
def lane() -> Lane:
    lane = Lane(TOPIC, SlowAgent())
    lane.assign(frozenset({0}))
    return lane


@pytest.fixture
def guard(lane: Lane) -> Guard:
    return Guard("nowhere:1", "group", {TOPIC: lane})


def test_a_partition_that_is_not_read_ends_the_worker(guard: Guard) -> None:
    guard.look(kafka(10, committed=4), 0)
    guard.look(kafka(11, committed=4), READ_S)
    with pytest.raises(BrokerError, match="readings partition 0 was read for 30 s") as raised:
        guard.look(kafka(12, committed=4), READ_S + 1)
    assert raised.value.retriable


def test_what_others_read_is_not_ours(guard: Guard) -> None:
    for now_s in (0.0, READ_S + 1, 3 * READ_S):
        guard.look(kafka(10, partition=1), now_s)


def test_all_committed_or_all_delivered_is_no_stall(guard: Guard, lane: Lane) -> None:
    guard.look(kafka(10, committed=10), 0)
    guard.look(kafka(10, committed=10), READ_S + 1)
    lane.deliver(0, records(12))
    for now_s in (READ_S + 2, 3 * READ_S):
        guard.look(kafka(12, committed=10), now_s)


def test_while_kafka_is_away_nobody_is_judged(guard: Guard) -> None:
    guard.look(kafka(10), 0)
    guard.look([], READ_S + 1)
    guard.look(kafka(10), 2 * READ_S)
    guard.look(kafka(10), 2 * READ_S + 1)


def test_who_has_its_hands_full_reads_no_more_and_is_well(guard: Guard, lane: Lane) -> None:
    lane.deliver(0, records(MAX_WAITING))
    for now_s in (0.0, READ_S + 1):
        guard.look(kafka(MAX_WAITING + 10), now_s)


async def test_work_that_never_ends_ends_the_worker(guard: Guard, lane: Lane) -> None:
    working = asyncio.create_task(lane.work())
    lane.deliver(0, records(3))
    guard.look(kafka(3), 0)
    guard.look(kafka(3), WORK_S)
    with pytest.raises(BrokerError, match="finished"):
        guard.look(kafka(3), WORK_S + 1)
    working.cancel()


async def test_work_that_ends_is_well(guard: Guard, lane: Lane) -> None:
    assert isinstance(lane.agent, SlowAgent)
    working = asyncio.create_task(lane.work())
    lane.deliver(0, records(3))
    guard.look(kafka(3), 0)
    lane.agent.done.set()
    async with asyncio.timeout(5):
        while lane.settled != {0: 3}:
            await asyncio.sleep(0.001)
    guard.look(kafka(3), WORK_S + 1)
    working.cancel()


def test_a_log_that_ends_before_where_we_stood_is_another_one() -> None:
    replaced(kafka(10), {Place(TOPIC, 0): 10, Place(TOPIC, 1): 99})
    with pytest.raises(BrokerError, match="readings partition 0 is another than it was") as raised:
        replaced(kafka(9), {Place(TOPIC, 0): 10})
    assert raised.value.retriable
