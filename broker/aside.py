"""A call that may block for ever, beside an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T], limit_s: float) -> T | None:
    """What `work`, which raises nothing, returns in a thread of its own; None when that takes
    longer than `limit_s`. The thread then goes on, and does not hold up the end of the process."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(found: T) -> None:
        if not answer.done():
            answer.set_result(found)

    def run() -> None:
        found = work()
        # The loop may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=run, name="aside", daemon=True).start()
    await asyncio.wait((answer,), timeout=limit_s)
    return answer.result() if answer.done() else None
