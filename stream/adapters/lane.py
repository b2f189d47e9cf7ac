"""One topic on its way from the log to its agent."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.record import Record
from stream.ports import Agent, Settled

log = logging.getLogger(__name__)
MAX_WAITING, MAX_WAITING_BYTES = 2_000, 16_000_000
"""How much waits for the agent at most, but for what comes with the last fetch."""
MAX_TAKE, MAX_TAKE_BYTES = 500, 2_000_000
"""How much an agent gets at once: shares the cost of a step, and bounds how long it takes."""


@dataclass(slots=True)
class Lane:
    """Records wait here until the agent takes them. What it has taken and what it says may be
    committed belongs to one assignment of partitions: a rebalance forgets both."""

    topic: str
    agent: Agent
    assignment: frozenset[int] | None = None
    heads: dict[int, int] = field(default_factory=dict)
    """For each partition the offset that may be committed."""
    begins: dict[int, int] = field(default_factory=dict)
    """For each partition the offset from which it is read."""
    delivered: dict[int, int] = field(default_factory=dict)
    """For each partition the offset behind what came in."""
    settled: dict[int, int] = field(default_factory=dict)
    """And that behind what the agent is done with, acknowledged."""
    gone: int = 0
    """How many records were no longer on the log when their turn came."""
    working: bool = False
    """Whether the agent works on a step: what comes meanwhile must wait for its end."""
    _waiting: deque[Record] = field(default_factory=deque)
    _waiting_bytes: int = 0
    _gaps: dict[int, int] = field(default_factory=dict)
    _generation: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _held: bool = False
    _calm: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def full(self) -> bool:
        """Whether nothing more should be fetched for now."""
        return len(self._waiting) >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES

    def forget(self) -> None:
        """A rebalance: what was read comes again, to whoever owns the partition then."""
        self._generation += 1
        self._waiting.clear()
        self._waiting_bytes = 0
        self._gaps.clear()
        self.begins.clear()
        self.delivered.clear()
        self.settled.clear()
        self.heads = {}
        self.assignment = None

    def assign(self, partitions: frozenset[int]) -> None:
        """These partitions are ours, to be read from their commits."""
        self.forget()
        self.assignment = partitions
        self._wake.set()

    async def hold(self) -> None:
        """Returns once the agent is done with all that it was given; it is given nothing more
        until `release`. What comes in waits."""
        self._held = True
        self._calm.clear()
        self._wake.set()
        await self._calm.wait()

    def release(self) -> None:
        """The agent goes on."""
        self._held = False
        self._wake.set()

    def again(self) -> None:
        """The agent begins anew, as after a rebalance that left it the same partitions."""
        if self.assignment is not None:
            self.assign(self.assignment)

    def deliver(self, partition: int, records: Sequence[Record]) -> bool:
        """The next records of a partition. Those that were delivered before are passed over.

        False where others are missing before them: then none is taken, and they are to be read
        again from `begins`. What is missing once more is no longer on the log.
        """
        known = self.delivered.get(partition, self.begins.get(partition, 0))
        fresh = [record for record in records if record.offset >= known]
        if not fresh:
            return True
        first = fresh[0].offset
        if first > known and self._gaps.get(partition) != first:
            self._gaps[partition] = first
            log.info("%s/%d: back from %d to %d", self.topic, partition, first, known)
            return False
        if first > known:
            self.gone += first - known
            log.warning("%s/%d: %d to %d are gone", self.topic, partition, known, first - 1)
        self.delivered[partition] = fresh[-1].offset + 1
        self._waiting.extend(fresh)
        self._waiting_bytes += sum(_size(record) for record in fresh)
        self._wake.set()
        return True

    async def work(self) -> None:
        """Feeds the agent for ever: while what came of some records is being acknowledged, the
        next ones are worked on. Raises what the agent raises."""
        told = -1
        settling: asyncio.Task[None] | None = None
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if settling is not None and settling.done():
                    settling.result()
                while self._willing and (self._waiting or told != self._generation):
                    if told == self._generation:
                        settling = await self._step(settling)
                    else:
                        if settling is not None:
                            await settling
                        told = await self._tell()
                if self._held:
                    if settling is not None:
                        await settling
                    self._calm.set()
        finally:
            if settling is not None:
                settling.cancel()

    @property
    def _willing(self) -> bool:
        return self.assignment is not None and not self._held

    async def _tell(self) -> int:
        generation, partitions = self._generation, self.assignment or frozenset()
        log.info("%s: partitions %s", self.topic, sorted(partitions))
        await self.agent.assigned(partitions)
        return generation

    async def _step(self, before: asyncio.Task[None] | None) -> asyncio.Task[None]:
        generation = self._generation
        taken = self._take()
        behind = {record.partition: record.offset + 1 for record in taken}
        self.working = True
        settled = await self.agent.handle(taken)
        self.working = False
        if before is not None:
            await before
        return asyncio.create_task(self._settle(generation, behind, settled))

    async def _settle(self, generation: int, behind: dict[int, int], settled: Settled) -> None:
        try:
            heads = await settled()
        finally:
            self._wake.set()
        if self._generation == generation:
            self.settled |= behind
            self.heads = dict(heads)

    def _take(self) -> list[Record]:
        taken: list[Record] = []
        size = 0
        while self._waiting and len(taken) < MAX_TAKE and size < MAX_TAKE_BYTES:
            taken.append(self._waiting.popleft())
            size += _size(taken[-1])
        self._waiting_bytes -= size
        return taken


def _size(record: Record) -> int:
    return len(record.value or b"")
