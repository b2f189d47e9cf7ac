"""The socket under paho: packets in pieces, messages taken out, all the rest left to paho."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.adapters.mqtt_wire import LONGEST, Publish, Wire
from edge.core.payload import MAX_BYTES

TOPICS = {b"rig/a": "rig/a", "rig/ñ".encode(): "rig/ñ"}
PINGRESP = b"\xd0\x00"


def length_of(size: int) -> bytes:
    """MQTT's variable byte integer."""
    digits = bytearray()
    while True:
        size, digit = size >> 7, size & 127
        digits.append(digit | 128 if size else digit)
        if not size:
            return bytes(digits)


def publish(
    topic: bytes, payload: bytes, *, qos: int = 1, properties: bytes | None = b"", retained: int = 0
) -> bytes:
    """A PUBLISH packet with number 258; `properties` None is MQTT 3.1.1."""
    body = len(topic).to_bytes(2, "big") + topic + (b"\x01\x02" if qos else b"")
    if properties is not None:
        body += length_of(len(properties)) + properties
    body += payload
    return bytes([0x30 | qos << 1 | retained]) + length_of(len(body)) + body


class Pair:
    """A wire and the broker's end of it."""

    def __init__(self) -> None:
        self.broker, edge = socket.socketpair()
        edge.setblocking(False)
        self.wire = Wire(edge)

    def hear(self, data: bytes) -> None:
        for start in range(0, len(data), 30_000):
            self.broker.sendall(data[start : start + 30_000])
            self.wire.fill()

    def look_and_hear(self, data: bytes) -> int:
        """As a link does, until a packet is there; the most bytes that the wire ever kept."""
        most, ready = 0, False
        for start in range(0, len(data), 30_000):
            self.hear(data[start : start + 30_000])
            most = max(most, len(self.wire._data))
            ready = self.wire.ready
        assert ready
        return most

    def close(self) -> None:
        self.wire.close()
        self.broker.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_messages_are_taken_in_order(pair: Pair) -> None:
    pair.hear(publish(b"rig/a", b"1") + publish("rig/ñ".encode(), b"", qos=0, retained=1))
    assert pair.wire.take(TOPICS, five=True) == Publish("rig/a", b"1", 1, 258, False)
    assert pair.wire.take(TOPICS, five=True) == Publish("rig/ñ", b"", 0, 0, True)
    assert pair.wire.take(TOPICS, five=True) is None
    assert not pair.wire.ready
    assert pair.wire.drained


@pytest.mark.parametrize("size", (0, 1, 118, 119, 127, 128, 16_383, 16_384, 200_000))
def test_a_message_may_come_in_any_pieces(size: int) -> None:
    packet = publish(b"rig/a", bytes(size), properties=None)
    for cut in {0, 1, 2, 3, 4, 5, len(packet) // 2, len(packet) - 1}:
        pair = Pair()
        if cut:
            pair.hear(packet[:cut])
            assert pair.wire.take(TOPICS, five=False) is None
            assert not pair.wire.lend()
        pair.hear(packet[cut:])
        assert pair.wire.take(TOPICS, five=False) == Publish("rig/a", bytes(size), 1, 258, False)
        pair.close()


def test_properties_are_passed_over(pair: Pair) -> None:
    pair.hear(publish(b"rig/a", b"x", properties=b"\x02\0\0\0\x3c"))
    assert pair.wire.take(TOPICS, five=True) == Publish("rig/a", b"x", 1, 258, False)


@pytest.mark.parametrize(
    "packet",
    [
        PINGRESP,
        publish(b"rig/b", b"x"),
        publish(b"rig/a", b"x", qos=2),
        publish(b"rig/a", b"x", properties=b"\x26\0\x50" + b"k" * 80 + b"\0\x50" + b"v" * 80),
        b"\x32\x00",
        b"\x32\x03\0\x09r",
        b"\x32\x07\0\5rig/a",
        b"\x32\x0a\0\5rig/a\1\2\x30",
        b"\x32\xff\xff\xff\xff\x01",
    ],
    ids=[
        "no message",
        "unknown topic",
        "qos 2",
        "long properties",
        "empty",
        "short topic",
        "no number",
        "short properties",
        "no length",
    ],
)
def test_what_is_not_plain_is_left_to_paho(pair: Pair, packet: bytes) -> None:
    pair.hear(packet)
    assert pair.wire.take(TOPICS, five=True) is None
    assert pair.wire.lend()
    assert b"".join(iter(lambda: lent(pair.wire), b"")) == packet


def lent(wire: Wire) -> bytes:
    try:
        return wire.recv(3)
    except BlockingIOError:
        return b""


def test_paho_gets_no_more_than_it_was_lent(pair: Pair) -> None:
    pair.hear(PINGRESP + publish(b"rig/a", b"1"))
    assert pair.wire.take(TOPICS, five=True) is None
    assert pair.wire.lend()
    assert pair.wire.recv(100) == PINGRESP
    with pytest.raises(BlockingIOError):
        pair.wire.recv(1)
    assert pair.wire.take(TOPICS, five=True) is not None


def test_the_end_comes_after_what_came_before(pair: Pair) -> None:
    pair.broker.sendall(publish(b"rig/a", b"1") + b"\x32")
    pair.broker.close()
    pair.wire.fill()
    pair.wire.fill()
    assert pair.wire.take(TOPICS, five=True) is not None
    assert pair.wire.ready
    assert pair.wire.lend()
    assert pair.wire.recv(1) == b""


def test_an_error_is_told_to_paho(pair: Pair) -> None:
    pair.broker.close()
    pair.wire.acknowledge(1)
    assert pair.wire.flush()
    assert pair.wire.broken
    assert pair.wire.ready
    with pytest.raises(OSError):
        pair.wire.recv(1)


def test_what_is_sent_waits_for_a_flush_and_keeps_its_order(pair: Pair) -> None:
    assert pair.wire.send(b"\xc0\x00") == 2
    pair.wire.acknowledge(258)
    pair.wire.acknowledge(3)
    pair.broker.setblocking(False)
    with pytest.raises(BlockingIOError):
        pair.broker.recv(1)
    assert pair.wire.flush()
    assert pair.broker.recv(100) == b"\xc0\x00\x40\x02\x01\x02\x40\x02\x00\x03"


def test_what_the_broker_does_not_take_is_kept(pair: Pair) -> None:
    sent = bytes(range(256)) * 8_000
    pair.wire.send(sent)
    got = bytearray()
    while not pair.wire.flush():
        got += pair.broker.recv(1_000_000)
    while len(got) < len(sent):
        got += pair.broker.recv(1_000_000)
    assert got == sent


@pytest.mark.parametrize("size", (LONGEST, LONGEST + 1, 2_200_000, 8_000_000))
def test_of_a_huge_message_the_beginning_is_kept(pair: Pair, size: int) -> None:
    """And it stays a message of its topic, that is acknowledged and known to be too large."""
    packet = publish(b"rig/a", bytes(size), properties=None)
    most = pair.look_and_hear(packet + publish(b"rig/a", b"next", properties=None))
    assert most <= LONGEST + 60_000
    taken = pair.wire.take(TOPICS, five=False)
    assert taken is not None and (taken.topic, taken.mid) == ("rig/a", 258)
    assert MAX_BYTES < len(taken.payload) <= LONGEST
    assert pair.wire.take(TOPICS, five=False) == Publish("rig/a", b"next", 1, 258, False)


def test_paho_too_gets_no_more_of_it(pair: Pair) -> None:
    pair.look_and_hear(publish(b"rig/b", bytes(3_000_000)) + PINGRESP)
    assert pair.wire.take(TOPICS, five=True) is None
    assert pair.wire.lend()
    packet = b"".join(iter(lambda: lent(pair.wire), b""))
    assert packet[1:4] == length_of(LONGEST) and len(packet) == 4 + LONGEST
    assert pair.wire.lend() and pair.wire.recv(10) == PINGRESP


def test_a_huge_packet_that_is_no_message_ends_the_connection(pair: Pair) -> None:
    pair.hear(b"\x90\xff\xff\xff\x7f" + bytes(100))
    assert pair.wire.ready and pair.wire.broken
    with pytest.raises(OSError, match="packet of 268435455 bytes"):
        pair.wire.recv(1)


@given(st.binary(max_size=40), st.booleans())
def test_whatever_comes_nothing_is_raised(data: bytes, five: bool) -> None:
    pair = Pair()
    pair.hear(b"\x32" + data)
    pair.wire.take(TOPICS, five=five)
    pair.wire.lend()
    lent(pair.wire)
    pair.close()
