"""ONNX files for tests, written field by field after onnx.proto: also such as no library writes."""

from __future__ import annotations

import struct

FLOAT, INT64 = 1, 7


def varint(number: int) -> bytes:
    """Seven bits a byte."""
    digits = bytearray()
    while True:
        number, digit = number >> 7, number & 127
        digits.append(digit | 128 if number else digit)
        if not number:
            return bytes(digits)


def field(number: int, value: bytes | str | int) -> bytes:
    """A field with a number, a text or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def tensor(name: str, *values: int, more: bytes = b"") -> bytes:
    """A TensorProto: whole numbers in one dimension; `more` are fields beside them."""
    raw = struct.pack(f"<{len(values)}q", *values)
    return field(1, len(values)) + field(2, INT64) + field(8, name) + field(9, raw) + more


def node(operator: str, takes: tuple[str, ...], gives: tuple[str, ...], more: bytes = b"") -> bytes:
    """A NodeProto; `more` are its attributes."""
    names = [field(1, one) for one in takes] + [field(2, one) for one in gives]
    return b"".join(names) + field(4, operator) + more


def values(name: str, *dimensions: str | int) -> bytes:
    """A ValueInfoProto of floats."""
    shape = b"".join(field(1, field(2 if isinstance(d, str) else 1, d)) for d in dimensions)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, shape)))


def model(
    nodes: list[bytes], inputs: list[bytes], outputs: list[bytes], tensors: list[bytes]
) -> bytes:
    """A ModelProto of opset 17."""
    graph = b"".join(
        [field(2, "g")]
        + [field(1, one) for one in nodes]
        + [field(5, one) for one in tensors]
        + [field(11, one) for one in inputs]
        + [field(12, one) for one in outputs]
    )
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17))
