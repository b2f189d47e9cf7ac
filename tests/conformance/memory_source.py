"""A source without a network: the fake for tests, and what is broken on purpose."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.core.intake import Incoming
from edge.ports import Listener, MessageSource


@dataclass
class MemoryBroker:
    """One session: what waits, and what was sent and is not acknowledged, by number."""

    waiting: deque[bytes] = field(default_factory=deque)
    sent: dict[int, bytes] = field(default_factory=dict)
    published: list[tuple[str, bytes]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    broken: asyncio.Event = field(default_factory=asyncio.Event)

    def give_back(self) -> None:
        """The connection is over: what was not acknowledged waits again, before the rest."""
        self.waiting.extendleft(reversed(self.sent.values()))
        self.sent.clear()


class MemorySource:
    """A MessageSource on a MemoryBroker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._connection = 0
        self._paused = False
        self.connected = False

    async def run(self, topics: Sequence[str], listener: Listener) -> None:
        """Delivers until cancelled."""
        while True:
            self._connection += 1
            self.connected = True
            try:
                await self._session(topics[0], listener)
            finally:
                self.connected = False
                self._broker.give_back()
                listener.on_connection_lost()

    async def _session(self, topic: str, listener: Listener) -> None:
        broker = self._broker
        broker.broken.clear()
        while not broker.broken.is_set():
            broker.changed.clear()
            while broker.waiting and not self._paused:
                self._deliver(topic, broker.waiting.popleft(), listener)
            await broker.changed.wait()

    def _deliver(self, topic: str, payload: bytes, listener: Listener) -> None:
        mid = max(self._broker.sent, default=0) + 1
        self._broker.sent[mid] = payload
        listener.on_message(
            Incoming(topic, payload, 1, mid, self._connection, time.time_ns() // 1000)
        )

    def acknowledge(self, connection: int, mid: int, qos: int) -> bool:
        """Acknowledges a message of the present connection."""
        if connection != self._connection:
            return False
        return self._broker.sent.pop(mid, None) is not None

    def publish(self, topic: str, payload: bytes) -> None:
        """Keeps it."""
        self._broker.published.append((topic, payload))

    def pause(self) -> None:
        """Stops delivering."""
        self._paused = True

    def resume(self) -> None:
        """Delivers again."""
        self._paused = False
        self._broker.changed.set()


class Hasty(MemorySource):
    """Broken: acknowledges what it has only received."""

    def _deliver(self, topic: str, payload: bytes, listener: Listener) -> None:
        super()._deliver(topic, payload, listener)
        self._broker.sent.clear()


class Forgetful(MemorySource):
    """Broken: takes the number of an old connection for one of the present."""

    def acknowledge(self, connection: int, mid: int, qos: int) -> bool:
        return self._broker.sent.pop(mid, None) is not None


class Careless(MemorySource):
    """Broken: drops what comes while it is paused."""

    def resume(self) -> None:
        self._broker.waiting.clear()
        super().resume()


class Restless(MemorySource):
    """Broken: a pause changes nothing."""

    def pause(self) -> None:
        pass


class Fresh(MemorySource):
    """Broken: begins a new session each time."""

    def __init__(self, broker: MemoryBroker) -> None:
        broker.waiting.clear()
        super().__init__(broker)


class MemoryLab:
    """The kit's laboratory for sources in memory."""

    def __init__(self, kind: type[MemorySource]) -> None:
        self._kind = kind
        self._broker = MemoryBroker()

    def source(self) -> MessageSource:
        return self._kind(self._broker)

    async def publish(self, payload: bytes) -> None:
        self._broker.waiting.append(payload)
        self._broker.changed.set()

    async def break_connection(self) -> None:
        self._broker.broken.set()
        self._broker.changed.set()
