"""A socket for paho that reads and writes many packets at a time.

paho reads a packet in three system calls and takes it apart in a tenth of a millisecond. So
the messages of topics that are known are taken out here, before paho; it gets all the rest.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt

LONGEST = 1_200_000
"""Of a packet, after its first bytes: more than a topic and a payload that is taken need. MQTT
itself would allow 256 MB."""
_CUT = bytes((LONGEST & 127 | 128, LONGEST >> 7 & 127 | 128, LONGEST >> 14))
_CHUNK = 65_536
_PUBLISH, _PUBACK = 3, b"\x40\x02"
_LONGEST_LENGTH = 4
VERDICT_S = 0.5
"""Longer than a broker in a plant takes to look at a certificate; one that says nothing to one that
it likes is spoken to after this."""
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Publish(NamedTuple):
    """One message, as the broker sent it."""

    topic: str
    payload: bytes
    qos: int
    mid: int
    retained: bool


class Wire:
    """What paho takes for its socket, and the non-blocking one behind it.

    paho reads only packets that were lent to it, and what it sends waits for `flush`. A message
    that is longer than LONGEST is cut there; any other packet of that size ends the connection.
    `drained` says whether the last `fill` took all that had come.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._data = bytearray()
        self._at = 0
        self._lent = 0
        self._skip = 0
        self._ended = False
        self.drained = False
        self._error: OSError | None = None
        self._out = bytearray()

    def fill(self) -> None:
        """Reads what came, a piece of it at most."""
        self.drained = True
        try:
            chunk = self._socket.recv(_CHUNK)
        except _NOT_NOW:
            return
        except OSError as error:
            self._error = error
            return
        if not chunk:
            self._ended = True
        # TLS gives a record at a time, however much there is.
        self.drained = len(chunk) < _CHUNK and not isinstance(self._socket, ssl.SSLSocket)
        del self._data[: self._at]
        self._at = 0
        skipped = min(self._skip, len(chunk))
        self._skip -= skipped
        self._data += chunk[skipped:] if skipped else chunk

    def hurry(self) -> None:
        """Lets the kernel say at once that it has what came. A broker that gathers small packets
        (Nagle's algorithm) waits for this word, up to 40 ms, before it sends the next."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    @property
    def ready(self) -> bool:
        """Whether a packet is all there, or none will come any more."""
        return self._packet() is not None or self._ended or self._error is not None

    @property
    def broken(self) -> bool:
        """Whether reading or writing failed for good."""
        return self._error is not None

    @property
    def error(self) -> OSError | None:
        """Why, where it is known."""
        return self._error

    def take(self, topics: Mapping[bytes, str], *, five: bool) -> Publish | None:
        """Takes the packet at the head when it is a message of one of these topics (`five`: in
        MQTT 5, whose properties are of no use here). None leaves it to paho."""
        packet = self._packet()
        if packet is None:
            return None
        (body, end), data = packet, self._data
        head = data[self._at]
        qos = head >> 1 & 3
        after = body + 2 + (data[body] << 8 | data[body + 1]) if end - body >= 2 else end
        rest = after + 2 * qos + five
        if head >> 4 != _PUBLISH or qos > 1 or rest > end:
            return None
        topic = topics.get(bytes(data[body + 2 : after]))
        if five:
            # Longer ones have more than one byte of length, and are rare.
            rest += data[rest - 1]
        if topic is None or rest > end or (five and data[after + 2 * qos] > 127):
            return None
        mid = data[after] << 8 | data[after + 1] if qos else 0
        self._at = end
        return Publish(topic, bytes(data[rest:end]), qos, mid, bool(head & 1))

    def lend(self) -> bool:
        """Lets paho read the packet at the head, or learn that the connection is over; whether
        there is such news."""
        packet = self._packet()
        if packet is not None:
            self._lent = packet[1] - self._at
        return self.ready

    def acknowledge(self, mid: int) -> None:
        """Sends PUBACK."""
        self._out += _PUBACK + mid.to_bytes(2, "big")

    def flush(self) -> bool:
        """Writes what waits; whether nothing waits any more."""
        if not self._out:
            return True
        try:
            del self._out[: self._socket.send(self._out)]
        except _NOT_NOW:
            return False
        except OSError as error:
            self._error = error
        return not self._out or self._error is not None

    def recv(self, count: int) -> bytes:
        """For paho: of the packet that it was lent."""
        if self._lent:
            count = min(count, self._lent)
            piece = bytes(self._data[self._at : self._at + count])
            self._at += count
            self._lent -= count
            return piece
        if self._error is not None:
            raise self._error
        if self._ended:
            return b""
        raise BlockingIOError

    def send(self, data: bytes) -> int:
        """For paho: takes all."""
        self._out += data
        return len(data)

    def setblocking(self, flag: bool) -> None:
        """For paho, before anything is read."""
        self._socket.setblocking(flag)

    def fileno(self) -> int:
        """Of the socket behind."""
        number: int = self._socket.fileno()
        return number

    def close(self) -> None:
        """Closes after a last word."""
        with contextlib.suppress(OSError):
            self.flush()
        self._socket.close()

    def _packet(self) -> tuple[int, int] | None:
        """Where the body of the packet at the head begins and ends; None while it is not all
        there."""
        data, start = self._data, self._at
        size = 0
        for place in range(_LONGEST_LENGTH):
            here = start + 1 + place
            if here >= len(data):
                return None
            size |= (data[here] & 127) << 7 * place
            if data[here] < 128:
                if size > LONGEST:
                    return self._cut(here + 1, size)
                end = here + 1 + size
                return (here + 1, end) if end <= len(data) else None
        # No length at all: paho shall see it and end the connection.
        return len(data), len(data)

    def _cut(self, body: int, size: int) -> tuple[int, int] | None:
        """Makes the packet at the head one of LONGEST bytes, once they are there; what is behind
        them is passed over when it comes."""
        data, start = self._data, self._at
        if data[start] >> 4 != _PUBLISH:
            self._error = OSError(f"a packet of {size} bytes")
            return None
        if len(data) < body + LONGEST:
            return None
        data[start + 1 : body] = _CUT
        body = start + 1 + len(_CUT)
        end, rest = body + LONGEST, size - LONGEST
        there = min(len(data) - end, rest)
        del data[end : end + there]
        self._skip = rest - there
        return body, end


class WiredClient(mqtt.Client):
    """paho's client on a Wire."""

    def _create_socket(self) -> Any:
        made = super()._create_socket()
        if isinstance(made, ssl.SSLSocket) and made.version() == "TLSv1.3":
            _hear_out(made)
        return Wire(made)


def _hear_out(made: ssl.SSLSocket) -> None:
    """In TLS 1.3 a broker looks at our certificate when we have done our part. What it says of it
    would be lost if we spoke before: its end of the connection overtakes it. Where it likes it, it
    mostly sends tickets, and no packet before ours. Raises OSError."""
    if not select.select([made], [], [], VERDICT_S)[0]:
        return
    made.setblocking(False)
    try:
        made.recv(1)
    except _NOT_NOW:
        return
    except OSError:
        made.close()
        raise
