"""What every MessageSource must do, whatever it speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from edge.core.intake import Incoming
from edge.ports import MessageSource

TOPIC = "kit/topic"
PATIENCE_S = 20.0
QUIET_S = 0.3


class Lab(Protocol):
    """A broker with one session, and the power to break things."""

    def source(self) -> MessageSource:
        """A source of that session; a second one after the first has ended."""

    async def publish(self, payload: bytes) -> None:
        """Returns once the broker has a message on TOPIC."""

    async def break_connection(self) -> None:
        """The source's connection is lost, and can be made again at once."""


class Ears:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.messages: list[Incoming] = []
        self.losses = 0

    def on_message(self, message: Incoming) -> None:
        self.messages.append(message)

    def on_connection_lost(self) -> None:
        self.losses += 1

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]


@asynccontextmanager
async def listening(lab: Lab) -> AsyncIterator[tuple[MessageSource, Ears]]:
    """A connected source that runs, and is cancelled in the end."""
    source, ears = lab.source(), Ears()
    task = asyncio.create_task(source.run([TOPIC], ears))
    try:
        await until(lambda: source.connected)
        yield source, ears
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled(), "a cancelled source must end as cancelled"
    assert not source.connected, "a source that ended is not connected"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.01)


def acknowledge(source: MessageSource, messages: list[Incoming]) -> list[bool]:
    return [source.acknowledge(m.connection, m.mid, m.qos) for m in messages]


async def delivers_in_order(lab: Lab) -> None:
    async with listening(lab) as (source, ears):
        for number in range(20):
            await lab.publish(b"%d" % number)
        await until(lambda: len(ears.messages) == 20)
        assert ears.payloads == [b"%d" % number for number in range(20)]
        assert {(m.topic, m.qos, m.retained) for m in ears.messages} == {(TOPIC, 1, False)}
        assert all(m.received_us > 0 for m in ears.messages)
        assert acknowledge(source, ears.messages) == [True] * 20


async def unacknowledged_messages_come_again(lab: Lab) -> None:
    async with listening(lab) as (source, ears):
        for payload in (b"kept", b"lost"):
            await lab.publish(payload)
        await until(lambda: len(ears.messages) == 2)
        assert acknowledge(source, ears.messages[:1]) == [True]
        await asyncio.sleep(QUIET_S)
        await lab.break_connection()
        await until(lambda: len(ears.messages) == 3 and source.connected)
        assert ears.losses == 1, "the listener must hear of the loss once"
        assert ears.payloads[2] == b"lost", "acknowledged ones must not come again"
        assert ears.messages[2].connection != ears.messages[1].connection
        assert acknowledge(source, ears.messages[2:]) == [True]


async def an_old_connection_acknowledges_nothing(lab: Lab) -> None:
    async with listening(lab) as (source, ears):
        await lab.publish(b"x")
        await until(lambda: len(ears.messages) == 1)
        await lab.break_connection()
        await until(lambda: len(ears.messages) == 2 and source.connected)
        assert acknowledge(source, ears.messages[:1]) == [False]
        await lab.break_connection()
        await until(lambda: len(ears.messages) == 3 and source.connected)
        assert acknowledge(source, ears.messages[2:]) == [True]


async def the_session_keeps_what_comes_meanwhile(lab: Lab) -> None:
    async with listening(lab):
        pass
    await lab.publish(b"while you were away")
    async with listening(lab) as (source, ears):
        await until(lambda: len(ears.messages) == 1)
        assert ears.payloads == [b"while you were away"]
        assert acknowledge(source, ears.messages) == [True]


async def nothing_comes_while_paused_and_nothing_is_lost(lab: Lab) -> None:
    async with listening(lab) as (source, ears):
        source.pause()
        for number in range(5):
            await lab.publish(b"%d" % number)
        await asyncio.sleep(QUIET_S)
        assert ears.messages == [], "a paused source must not deliver"
        source.resume()
        await until(lambda: len(ears.messages) == 5)
        assert acknowledge(source, ears.messages) == [True] * 5


CHECKS = (
    delivers_in_order,
    unacknowledged_messages_come_again,
    an_old_connection_acknowledges_nothing,
    the_session_keeps_what_comes_meanwhile,
    nothing_comes_while_paused_and_nothing_is_lost,
)
