"""The wire format of Protocol Buffers, read strictly and without a schema.

A message is a sequence of fields; each begins with a number (field << 3 | kind of wire):
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

from edge.core.payload import PayloadError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
_LONGEST = 10
_MASK64 = (1 << 64) - 1


class NotProtobuf(PayloadError):
    """Not what a Protocol Buffer is made of, or cut short."""

    reason = "protobuf"


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """The fields of a message in their order: number, kind of wire, and the value: an unsigned
    integer for VARINT, else bytes (8 for FIXED64, 4 for FIXED32). Raises NotProtobuf."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if not number:
            raise NotProtobuf("a field has the number 0")
        if wire == VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, at = _varint(data, at)
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise NotProtobuf(f"a field is of the kind {wire}")
        if size > len(data) - at:
            raise NotProtobuf(f"a field of {size} bytes is cut short")
        yield number, wire, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(min(_LONGEST, len(data) - at)):
        byte = data[at + place]
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value & _MASK64, at + place + 1
    raise NotProtobuf("a number does not end")


def varint(value: int) -> bytes:
    """An unsigned number as it is sent."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def field(number: int, value: int | bytes) -> bytes:
    """A field: VARINT for a number, else BYTES."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    return varint(number << 3 | BYTES) + varint(len(value)) + value
