"""Whether something listens somewhere."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

_PATIENCE_S = 3.0


async def listens(host: str, port: int) -> bool:
    """Whether a connection is accepted at HOST:PORT; a name that nobody knows is a no."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def settle(found: bool) -> None:
        if not answer.done():
            answer.set_result(found)

    def knock() -> None:
        found = _accepts(host, port)
        # The loop may have ended while a name was looked up.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, found)

    # A daemon: a look-up that hangs must not hold up the end of the process.
    threading.Thread(target=knock, name="probe", daemon=True).start()
    await asyncio.wait((answer,), timeout=_PATIENCE_S)
    return answer.done() and answer.result()


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE_S):
            return True
    except (OSError, ValueError):
        return False
