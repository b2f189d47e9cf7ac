"""A topic's way from the log to its agent: order, overlap, and what a rebalance forgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from contracts.messages import Account
from contracts.record import Record
from stream.adapters.lane import MAX_TAKE, MAX_WAITING, Lane
from stream.ports import Settled


def records(first: int, count: int, partition: int = 0, size: int = 1) -> list[Record]:
    return [Record("t", partition, first + at, b"k", b"v" * size, [], 0) for at in range(count)]


@dataclass
class FakeAgent:
    """Notes what it is told. What came of records is acknowledged once `open` is set."""

    seen: list[str] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False
    handled: int = 0
    watched: Lane | None = None
    worked: list[bool] = field(default_factory=list)

    async def assigned(self, partitions: frozenset[int]) -> None:
        self.seen.append(f"assigned {sorted(partitions)}")

    async def handle(self, records: Sequence[Record]) -> Settled:
        first, last = records[0].offset, records[-1].offset
        self.handled += len(records)
        if self.watched is not None:
            self.worked.append(self.watched.working)
        self.seen.append(f"handle {first}-{last}")

        async def settle() -> Mapping[int, int]:
            self.seen.append(f"send {first}-{last}")
            await self.open.wait()
            if self.fails:
                raise ValueError("refused")
            self.seen.append(f"settled {first}-{last}")
            return {records[-1].partition: last + 1}

        return settle

    def accounts(self) -> Mapping[str, Account]:
        return {}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.fixture
def agent() -> FakeAgent:
    return FakeAgent()


@dataclass
class Working:
    """A lane whose agent is fed."""

    lane: Lane
    task: asyncio.Task[None]


@pytest.fixture
async def working(agent: FakeAgent) -> Working:
    lane = Lane("t", agent)
    return Working(lane, asyncio.create_task(lane.work()))


async def test_a_lane_works_while_its_agent_handles_and_not_while_that_is_acknowledged(
    agent: FakeAgent, working: Working
) -> None:
    lane = working.lane
    agent.watched = lane
    lane.assign(frozenset({0}))
    lane.deliver(0, records(0, 2))
    await until(lambda: "send 0-1" in agent.seen)
    assert agent.worked == [True] and not lane.working


async def test_the_next_records_are_handled_while_the_last_ones_are_acknowledged(
    agent: FakeAgent, working: Working
) -> None:
    lane = working.lane
    lane.assign(frozenset({0}))
    lane.begins[0] = 5
    lane.deliver(0, records(5, 2))
    await until(lambda: "send 5-6" in agent.seen)
    lane.deliver(0, records(7, 3))
    await until(lambda: "handle 7-9" in agent.seen)
    await asyncio.sleep(0.02)
    assert "send 7-9" not in agent.seen, "sent before what came of earlier records is acknowledged"
    assert lane.heads == {}
    agent.open.set()
    await until(lambda: lane.heads == {0: 10})
    assert agent.seen == [
        "assigned [0]",
        "handle 5-6",
        "send 5-6",
        "handle 7-9",
        "settled 5-6",
        "send 7-9",
        "settled 7-9",
    ]


async def test_what_was_delivered_before_is_passed_over(agent: FakeAgent, working: Working) -> None:
    agent.open.set()
    working.lane.assign(frozenset({0}))
    working.lane.begins[0] = 5
    working.lane.deliver(0, records(5, 3))
    working.lane.deliver(0, records(6, 4))
    await until(lambda: working.lane.heads == {0: 10})
    assert agent.handled == 5


async def test_a_rebalance_forgets_what_waits_and_what_was_to_be_committed(
    agent: FakeAgent, working: Working
) -> None:
    lane = working.lane
    lane.assign(frozenset({0}))
    lane.begins[0] = 5
    lane.deliver(0, records(5, 2))
    await until(lambda: "send 5-6" in agent.seen)
    lane.forget()
    lane.deliver(0, records(7, 2))
    lane.assign(frozenset({0, 1}))
    agent.open.set()
    await until(lambda: "assigned [0, 1]" in agent.seen)
    assert lane.heads == {}, "heads of an earlier assignment are committed"
    lane.begins[0] = 5
    lane.deliver(0, records(5, 4))
    await until(lambda: lane.heads == {0: 9})
    assert agent.seen.index("settled 5-6") < agent.seen.index("assigned [0, 1]")


async def test_what_comes_after_a_gap_waits_until_it_is_read_again(
    agent: FakeAgent, working: Working
) -> None:
    """A fetch of before the rebalance took the records in between with it."""
    agent.open.set()
    lane = working.lane
    lane.assign(frozenset({0}))
    lane.begins[0] = 5
    assert not lane.deliver(0, records(9, 2)), "read on behind the commit"
    assert lane.deliver(0, records(5, 6))
    assert not lane.deliver(0, records(13, 2))
    assert lane.deliver(0, records(5, 10))
    await until(lambda: lane.heads == {0: 15})
    assert agent.handled == 10


async def test_what_is_no_longer_on_the_log_is_said_and_passed_over(
    agent: FakeAgent, working: Working, caplog: pytest.LogCaptureFixture
) -> None:
    agent.open.set()
    lane = working.lane
    lane.assign(frozenset({0}))
    lane.begins[0] = 5
    assert not lane.deliver(0, records(9, 2))
    assert lane.deliver(0, records(9, 2))
    await until(lambda: lane.heads == {0: 11})
    assert "t/0: 5 to 8 are gone" in caplog.text
    assert lane.gone == 4


async def test_a_failure_ends_the_work_at_once(agent: FakeAgent, working: Working) -> None:
    agent.fails = True
    agent.open.set()
    working.lane.assign(frozenset({0}))
    working.lane.deliver(0, records(0, 1))
    with pytest.raises(ValueError, match="refused"):
        await asyncio.wait_for(working.task, 5)


async def test_what_waits_is_bounded_and_so_is_what_is_handled_at_once(agent: FakeAgent) -> None:
    lane = Lane("t", agent)
    lane.assign(frozenset({0, 1}))
    lane.deliver(0, records(0, MAX_WAITING - 1))
    assert not lane.full
    lane.deliver(1, records(0, 1, partition=1))
    assert lane.full
    task = asyncio.create_task(lane.work())
    await until(lambda: bool(agent.handled))
    assert agent.seen[1] == f"handle 0-{MAX_TAKE - 1}"
    task.cancel()
    heavy = Lane("t", agent)
    heavy.assign(frozenset({0}))
    heavy.deliver(0, records(0, 20, size=900_000))
    assert heavy.full


async def test_held_it_finishes_what_it_has_and_begins_anew_from_what_it_needs(
    agent: FakeAgent, working: Working
) -> None:
    lane = working.lane
    lane.assign(frozenset({0, 1}))
    lane.begins |= {0: 5, 1: 90}
    lane.deliver(0, records(5, 2))
    lane.deliver(1, records(90, 1, partition=1))
    await until(lambda: "send 5-90" in agent.seen)
    holding = asyncio.create_task(lane.hold())
    lane.deliver(0, records(7, 2))
    await asyncio.sleep(0.02)
    assert not holding.done(), "what came of records is not acknowledged"
    agent.open.set()
    await holding
    assert "handle 7-8" not in agent.seen
    lane.again()
    assert (lane.assignment, lane.heads, lane.begins) == (frozenset({0, 1}), {}, {})
    lane.begins |= {0: 5, 1: 91}
    lane.deliver(0, records(5, 4))
    await asyncio.sleep(0.02)
    assert agent.seen.count("assigned [0, 1]") == 1
    lane.release()
    await until(lambda: "settled 5-8" in agent.seen)
    assert agent.seen.count("assigned [0, 1]") == 2


async def test_what_is_held_without_partitions_is_held_at_once(working: Working) -> None:
    await asyncio.wait_for(working.lane.hold(), 5)
    working.lane.assign(frozenset({0}))
    await asyncio.sleep(0.01)
    working.lane.release()
