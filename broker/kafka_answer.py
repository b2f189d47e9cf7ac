"""Asks a Kafka for the one thing that it tells everybody: which requests it knows."""

from __future__ import annotations

import os
import socket
import ssl
import struct

_API_VERSIONS, _VERSION = 18, 0
_CLIENT = b"vigia-health"
_MOST_BYTES = 1_000_000


def why_silent(host: str, port: int, tls: ssl.SSLContext | None, timeout_s: float) -> str | None:
    """Why it does not answer; None when it does. A port that is open and a thread that hangs look
    alike from outside: so it is asked (ApiVersions, of the Kafka protocol)."""
    number = int.from_bytes(os.urandom(3), "big")
    head = struct.pack(">hhih", _API_VERSIONS, _VERSION, number, len(_CLIENT)) + _CLIENT
    try:
        with socket.create_connection((host, port), timeout_s) as plain:
            door = plain if tls is None else tls.wrap_socket(plain, server_hostname=host)
            with door:
                door.sendall(struct.pack(">i", len(head)) + head)
                (size,) = struct.unpack(">i", _exactly(door, 4))
                if not 6 <= size <= _MOST_BYTES:
                    return f"{host}:{port} is no Kafka"
                answered, code = struct.unpack(">ih", _exactly(door, 6))
    except (OSError, EOFError) as error:
        return f"{host}:{port} does not answer: {str(error) or type(error).__name__}"
    return None if (answered, code) == (number, 0) else f"{host}:{port} is no Kafka"


def _exactly(door: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        more = door.recv(size - len(got))
        if not more:
            raise EOFError("it closed the connection")
        got += more
    return got
