"""Ports on the loopback interface."""

from __future__ import annotations

import random
import socket
from pathlib import Path

HOST = "127.0.0.1"
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_240


def free_port() -> int:
    """A port that nothing listens on now.

    It lies below the range from which the kernel gives ports to outgoing connections:
    a client that knocks on a stopped broker's port could otherwise be given that very
    port, connect to itself, and keep the broker from coming back.
    """
    try:
        below = int(_EPHEMERAL.read_text().split()[0])
    except OSError:
        below = 32_768
    draw = random.SystemRandom()
    for _ in range(100):
        port = draw.randrange(_LOWEST, max(below, _LOWEST + 1000))
        if is_free(port):
            return port
    raise OSError("no free port on the loopback interface")


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something accepts connections on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0
