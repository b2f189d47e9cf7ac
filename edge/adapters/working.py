"""The parts of an edge at work, until they are told to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from broker.status import Figures, StatusPublisher

_DRAIN_S = 1.0
_LAST_WORD_S = 0.7
_log = logging.getLogger(__name__)
T = TypeVar("T")


class Part(Protocol):
    """The sensors of a site at work, or its cameras; or what keeps either on disk."""

    async def run(self) -> None: ...

    async def drain(self, patience_s: float) -> None: ...

    def figures(self) -> Figures: ...


async def work(
    parts: Sequence[Part],
    status: StatusPublisher,
    kafka: asyncio.Task[None],
    stop: asyncio.Event,
) -> None:
    """Works until `stop`, and then drains; or until a part ends, and raises why. The status is said
    once `kafka` is connected."""

    async def tell() -> None:
        await asyncio.shield(kafka)
        await status.run()

    running = [asyncio.create_task(part.run()) for part in parts]
    telling = asyncio.create_task(tell())
    try:
        ended = asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        if await unless(stop, ended) is None:
            _log.info("stopping")
            await asyncio.gather(*(part.drain(_DRAIN_S) for part in parts))
        telling.cancel()
        await status.last(_LAST_WORD_S)
    finally:
        for task in (telling, *running):
            task.cancel()
        await asyncio.wait((telling, *running))
    for task in running:
        if not task.cancelled():
            _raise_first(task.exception())


async def unless(stop: asyncio.Event, doing: Coroutine[Any, Any, T]) -> T | None:
    """What `doing` gives, or None when `stop` comes first."""
    task = asyncio.ensure_future(doing)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait((task,))
    return None


def _raise_first(error: BaseException | None) -> None:
    """Raises what ended the agent, out of the group of its tasks."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        raise error
