"""The agent on an event loop, with a source and a log in memory."""

from __future__ import annotations

import asyncio
import json
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
        self.batches: list[ReadingBatch] = []
        self.letters: list[Letter] = []
        self.refusal: BrokerError | None = None

    async def places(self, assets: Sequence[str]) -> dict[str, Place]:
        return {}

    def lane(self, asset: str) -> int:
        return 0

    async def write(self, batches: Sequence[ReadingBatch]) -> None:
        await self.open.wait()
        if self.refusal is not None:
            raise self.refusal
        self.batches += batches

    async def write_letters(self, letters: Sequence[Letter]) -> None:
        await self.open.wait()
        self.letters += letters


class Rig:
    """An agent of one asset with one signal, and its world."""

    def __init__(self, limit: int) -> None:
        self.broker = MemoryBroker()
        self.source = MemorySource(self.broker)
        self.log = MemoryLog()
        self.intake = Intake({"s/a": GROUP}, {}, now_us=T0, limit=limit)
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
async def running(limit: int = 1000) -> AsyncIterator[Rig]:
    rig = Rig(limit)
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
