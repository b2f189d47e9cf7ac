"""Whether something listens somewhere."""

from __future__ import annotations

import socket

from broker.aside import aside

_PATIENCE_S = 3.0


async def listens(host: str, port: int) -> bool:
    """Whether a connection is accepted at HOST:PORT; a name that nobody knows is a no."""
    return bool(await aside(lambda: _accepts(host, port), _PATIENCE_S))


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE_S):
            return True
    except (OSError, ValueError):
        return False
