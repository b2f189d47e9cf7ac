"""Ends a worker that lives and does not work; whoever supervises it starts another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping

from broker.cluster import Where
from broker.lag import PartitionLag, group_lag
from contracts.errors import BrokerError, TopicMissing
from stream.adapters.lane import Lane
from stream.core.progress import Place, Progress

LOOK_S = 10.0
MISSES = 2
"""Looks at which a topic is missing before it is taken for deleted."""
READ_S = 30.0
"""Longer than Kafka takes to come back from a restart, and a group to settle."""
WORK_S = 300.0
"""Of records that were read, until all that came of them is acknowledged: 500 images through a
model of half a second each, or a broker that is away for minutes, are no illness."""


class Guard:
    """Compares where the lanes stand with what Kafka has."""

    def __init__(self, bootstrap: Where, group: str, lanes: Mapping[str, Lane]) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._lanes = lanes
        self._reading = Progress(READ_S)
        self._working = Progress(WORK_S)
        self._missed = 0

    async def run(self) -> None:
        """Looks for ever. Raises BrokerError when a partition stalls, or a topic vanished."""
        while True:
            await asyncio.sleep(LOOK_S)
            stood = self._positions()
            lag = await self._lag()
            replaced(lag, stood)
            self.look(lag, time.monotonic())

    def look(self, lag: Collection[PartitionLag], now_s: float) -> None:
        """Judges by what Kafka has (nothing where it does not answer). Raises BrokerError."""
        known = {Place(one.topic, one.partition): one for one in lag}
        mine = self._mine()
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

    def _mine(self) -> dict[Place, Lane]:
        return {
            Place(lane.topic, partition): lane
            for lane in self._lanes.values()
            for partition in lane.assignment or ()
        }

    def _positions(self) -> dict[Place, int]:
        return {p: lane.delivered.get(p.partition, 0) for p, lane in self._mine().items()}

    async def _lag(self) -> Collection[PartitionLag]:
        try:
            async with asyncio.timeout(LOOK_S):
                found = await group_lag(self._bootstrap, self._group, list(self._lanes))
        except TopicMissing:
            # For a moment after its start Kafka lists no topic.
            self._missed += 1
            if self._missed >= MISSES:
                raise
            return ()
        except (BrokerError, TimeoutError):
            return ()
        self._missed = 0
        return found


def replaced(lag: Collection[PartitionLag], stood: Mapping[Place, int]) -> None:
    """Raises BrokerError for a partition that ends before where its reader `stood` earlier: its
    topic was deleted and made again, and nothing of the new one would be read."""
    for one in lag:
        if one.end < stood.get(Place(one.topic, one.partition), 0):
            text = f"{one.topic} partition {one.partition} is another than it was: it begins anew"
            raise BrokerError(text, retriable=True)


def _stalled(place: Place, what: str, seconds: float) -> str:
    return (
        f"nothing of {place.topic} partition {place.partition} was {what} for {seconds:.0f} s, "
        "and there is something"
    )
