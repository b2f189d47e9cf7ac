"""The agent on an event loop, with a source and a log in memory."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from contracts.errors import BrokerError
from contracts.plant.model import SignalSet
from contracts.readings import ReadingBatch
from edge.adapters.agent import Agent
from edge.core.batches import Place
from edge.core.intake import Intake, Letter
from tests.conformance.memory_source import MemoryBroker, MemorySource

T0 = 1_700_000_000_000_000
GROUP = SignalSet.model_validate(
    {
        "rows": {"by": "exact"},
        "signals": [{"id": "x", "topic": "x", "time": "/t", "time_format": "us"}],
    }
)


class MemoryLog:
    """A ReadingLog that takes batches while its door is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.shut: set[int] = set()
        self.batches: list[ReadingBatch] = []
        self.writes: list[int] = []
        self.under_way: Counter[int] = Counter()
        self.letters: list[Letter] = []
        self.refusal: BrokerError | None = None

    async def places(self, assets: Sequence[str]) -> dict[str, Place]:
        return {}

    def lane(self, asset: str) -> int:
        return int(asset[-1]) % 2 if asset[-1].isdigit() else 0

    async def write(self, batches: Sequence[ReadingBatch]) -> frozenset[str]:
        (lane,) = {self.lane(batch.asset) for batch in batches}
        self.under_way[lane] += 1
        assert self.under_way[lane] == 1, "one write of a lane at a time"
        while lane in self.shut:
            await asyncio.sleep(0.01)
        await self.open.wait()
        self.under_way[lane] -= 1
        self.writes.append(len(batches))
        if self.refusal is not None:
            raise self.refusal
        self.batches += batches
        return frozenset()

    async def write_letters(self, letters: Sequence[Letter]) -> None:
        await self.open.wait()
        self.letters += letters


class Rig:
    """An agent of some assets with one signal each, and its world."""

    def __init__(self, limit: int, assets: dict[str, SignalSet] | None = None) -> None:
        self.broker = MemoryBroker()
        self.source = MemorySource(self.broker)
        self.log = MemoryLog()
        self.intake = Intake(assets or {"s/a": GROUP}, {}, now_us=T0, limit=limit)
        self.agent = Agent(self.intake, self.source, self.log)

    def publish(self, time_us: int, value: float = 1.0) -> None:
        self.broker.waiting.append(json.dumps({"t": time_us, "value": value}).encode())
        self.broker.changed.set()

    async def until_empty(self) -> None:
        async with asyncio.timeout(10):
            while self.broker.waiting or self.broker.sent:
                await asyncio.sleep(0.01)

    @property
    def times(self) -> list[int]:
        return [t for batch in self.log.batches for t in batch.times_us.tolist()]


@asynccontextmanager
async def running(
    limit: int = 1000, assets: dict[str, SignalSet] | None = None
) -> AsyncIterator[Rig]:
    rig = Rig(limit, assets)
    task = asyncio.create_task(rig.agent.run())
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_messages_are_acknowledged_after_kafka_has_them() -> None:
    async with running() as rig:
        rig.log.open.clear()
        for number in range(5):
            rig.publish(T0 + number)
        await asyncio.sleep(0.1)
        assert len(rig.broker.sent) == 5
        rig.log.open.set()
        await rig.until_empty()
        assert rig.times == [T0 + number for number in range(5)]
        assert rig.agent.figures().latencies["edge.receipt-to-kafka"].count > 0


async def test_reading_stops_at_the_limit_and_goes_on() -> None:
    async with running(limit=10) as rig:
        rig.log.open.clear()
        for number in range(50):
            rig.publish(T0 + number)
        await asyncio.sleep(0.1)
        assert len(rig.broker.sent) == 10
        assert rig.agent.figures().notes == ("reading is paused",)
        rig.log.open.set()
        await rig.until_empty()
        assert rig.times == [T0 + number for number in range(50)]
        assert rig.agent.figures().notes == ()


async def test_a_lost_connection_repeats_messages_and_no_rows() -> None:
    async with running(limit=10) as rig:
        rig.log.open.clear()
        for number in range(20):
            rig.publish(T0 + number)
        await asyncio.sleep(0.1)
        rig.broker.broken.set()
        rig.broker.changed.set()
        await asyncio.sleep(0.1)
        rig.log.open.set()
        await rig.until_empty()
        assert rig.times == [T0 + number for number in range(20)]
        accounts = rig.agent.figures().account
        assert all(account.missing == 0 and account.held == 0 for account in accounts.values())
        assert accounts["edge.mqtt"].dropped == {"connection-lost": 10}


def together(count: int) -> dict[str, SignalSet]:
    """Assets that are fed by one topic."""
    return {f"s/a{number}": GROUP for number in range(count)}


async def test_batches_of_a_moment_are_written_together_lane_by_lane() -> None:
    async with running(assets=together(8)) as rig:
        rig.publish(T0)
        await rig.until_empty()
        assert rig.log.writes == [4, 4]
        assert {batch.asset for batch in rig.log.batches} == set(together(8))


async def test_a_lane_that_waits_holds_up_no_other() -> None:
    async with running(assets=together(4)) as rig:
        rig.log.shut.add(1)
        for number in range(3):
            rig.publish(T0 + number)
            await asyncio.sleep(0.05)
        even = [batch for batch in rig.log.batches if rig.log.lane(batch.asset) == 0]
        assert even == rig.log.batches
        assert len(even) == 6
        assert len(rig.broker.sent) == 3
        rig.log.shut.clear()
        await rig.until_empty()
        for asset in together(4):
            mine = [batch for batch in rig.log.batches if batch.asset == asset]
            assert [b.position.sequence for b in mine] == list(range(len(mine)))
            assert [t for b in mine for t in b.times_us.tolist()] == [T0, T0 + 1, T0 + 2]
        accounts = rig.agent.figures().account
        assert all(account.missing == 0 and account.held == 0 for account in accounts.values())


async def test_letters_are_written_and_acknowledged() -> None:
    async with running() as rig:
        rig.broker.waiting.append(b"{")
        rig.publish(T0)
        await rig.until_empty()
        assert [letter.error.reason for letter in rig.log.letters] == ["not-json"]
        assert rig.times == [T0]


async def test_draining_writes_what_is_ready_and_reads_no_more() -> None:
    async with running() as rig:
        rig.publish(T0)
        await rig.until_empty()
        rig.publish(T0 + 1)
        await asyncio.sleep(0)
        await rig.agent.drain(5.0)
        rig.publish(T0 + 2)
        await asyncio.sleep(0.1)
        assert len(rig.times) + len(rig.broker.waiting) == 3
        assert T0 + 2 not in rig.times


async def test_a_refusal_of_kafka_ends_the_agent() -> None:
    rig = Rig(10)
    rig.log.refusal = BrokerError("there is no topic")
    rig.publish(T0)
    with pytest.raises(ExceptionGroup) as caught:
        await rig.agent.run()
    assert caught.group_contains(BrokerError, match="there is no topic")
