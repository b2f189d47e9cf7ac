"""Ends a worker that lives and does not work; whoever supervises it starts another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping

from broker.lag import PartitionLag, group_lag
from contracts.errors import BrokerError
from stream.adapters.lane import Lane
from stream.core.progress import Place, Progress

LOOK_S = 10.0
READ_S = 30.0
"""Longer than Kafka takes to come back from a restart, and a group to settle."""
WORK_S = 300.0
"""Of records that were read, until all that came of them is acknowledged: 500 images through a
model of half a second each, or a broker that is away for minutes, are no illness."""


class Guard:
    """Compares where the lanes stand with what Kafka has."""

    def __init__(self, bootstrap: str, group: str, lanes: Mapping[str, Lane]) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._lanes = lanes
        self._reading = Progress(READ_S)
        self._working = Progress(WORK_S)

    async def run(self) -> None:
        """Looks for ever. Raises BrokerError when a partition stalls."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look(await self._lag(), time.monotonic())

    def look(self, lag: Collection[PartitionLag], now_s: float) -> None:
        """Judges by what Kafka has (nothing where it does not answer). Raises BrokerError."""
        known = {Place(one.topic, one.partition): one for one in lag}
        mine = {
            Place(lane.topic, partition): lane
            for lane in self._lanes.values()
            for partition in lane.assignment or ()
        }
        begun = {place: max(one.begin, one.committed or 0) for place, one in known.items()}
        read = {p: lane.delivered.get(p.partition, begun.get(p, 0)) for p, lane in mine.items()}
        done = {p: lane.settled.get(p.partition, begun.get(p, 0)) for p, lane in mine.items()}
        # Who has enough to do reads no more for a while.
        hungry = {place: read[place] for place, lane in mine.items() if not lane.full}
        ends = {place: one.end for place, one in known.items()}
        for place in self._reading.judge(hungry, ends, now_s):
            raise BrokerError(_stalled(place, "read", READ_S), retriable=True)
        for place in self._working.judge(done, read if known else {}, now_s):
            raise BrokerError(_stalled(place, "finished", WORK_S), retriable=True)

    async def _lag(self) -> Collection[PartitionLag]:
        try:
            async with asyncio.timeout(LOOK_S):
                return await group_lag(self._bootstrap, self._group, list(self._lanes))
        except (BrokerError, TimeoutError):
            return ()


def _stalled(place: Place, what: str, seconds: float) -> str:
    return (
        f"nothing of {place.topic} partition {place.partition} was {what} for {seconds:.0f} s, "
        "and there is something"
    )
