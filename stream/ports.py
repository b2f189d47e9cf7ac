"""What the stream needs of the outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from contracts.messages import Account, AlarmState
from contracts.record import Outgoing, Record

Settled = Callable[[], Awaitable[Mapping[int, int]]]
"""See Agent.handle."""


class Agent(Protocol):
    """Works on the records of one topic."""

    async def assigned(self, partitions: frozenset[int]) -> None:
        """From now on these partitions are this worker's, each read from its committed offset.

        Called before the first record and after every rebalance; whatever was in memory is
        out of date, also for partitions that stay.
        """

    async def handle(self, records: Sequence[Record]) -> Settled:
        """Works on the next records, of each partition in order and without a gap.

        What it returns is called once, after that of the records before has returned, and
        before that of the records after: it sends what came of these, and returns, once all
        that is acknowledged by the broker, for each partition the offset below which nothing is
        needed any more. Meanwhile the next records may be handled. Both raise what cannot be
        helped by going on: the worker then ends, and starts again from its commits.
        """

    def accounts(self) -> Mapping[str, Account]:
        """What came in and what became of it, as of the last finished step."""


class Log(Protocol):
    """A partitioned log with one consumer group: Kafka, read by Faust or otherwise.

    It commits an offset of a partition only when the topic's agent has returned it, and only
    while the partition is still this worker's.
    """

    def subscribe(self, topic: str, agent: Agent) -> None:
        """Before `run`: records of `topic` go to `agent`."""

    async def run(self) -> None:
        """Reads until `stop`. Raises BrokerError when it cannot go on."""

    async def anew(self, apply: Callable[[], None]) -> None:
        """Between two steps: once the agents are done with what they have, calls `apply`, and all
        begin anew with `assigned`, reading from what they need, as after a rebalance. While Kafka
        is away it waits. Returns before anything is handled."""

    def accounts(self) -> Mapping[str, Account]:
        """Messages that were no longer on the log when their turn came; empty where none was."""

    async def stop(self) -> None:
        """Commits what may be committed and leaves the group, within seconds, with or
        without a broker."""


class Publisher(Protocol):
    """Writes to the broker."""

    async def send_all(self, records: Iterable[Outgoing]) -> None:
        """Returns once all are acknowledged, each partition's in order."""


Marks = Mapping[tuple[str, str], int]
"""By asset and detector, up to which end (us) windows are decided for good."""


class Decided(Protocol):
    """What the log says of windows that were decided before."""

    async def load(self, partitions: Iterable[int]) -> Marks:
        """Of the assets in these partitions, as far as it is found."""


class AlarmStore(Protocol):
    """The compacted topic of alarm states."""

    async def load(self, partitions: Iterable[int]) -> list[AlarmState]:
        """The newest state of every alarm in these partitions."""
