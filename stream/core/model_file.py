"""What an ONNX file holds, read without a runtime: what it names, its runtime would open.

Only the skeleton is looked at, after Protocol Buffers' encoding and onnx.proto; numbers are passed
over. Where this reader and the runtime's might differ, the file is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

MAX_NODES = 20_000


class _Part(Enum):
    MODEL = "model"
    GRAPH = "graph"
    FUNCTION = "function"
    NODE = "node"
    ATTRIBUTE = "attribute"
    TENSOR = "tensor"
    SPARSE = "sparse tensor"


# Where parts are within each other, by the numbers of onnx.proto's fields.
_WITHIN = {
    _Part.MODEL: {7: _Part.GRAPH, 25: _Part.FUNCTION},
    _Part.GRAPH: {1: _Part.NODE, 5: _Part.TENSOR, 15: _Part.SPARSE},
    _Part.FUNCTION: {7: _Part.NODE, 11: _Part.ATTRIBUTE},
    _Part.NODE: {5: _Part.ATTRIBUTE},
    _Part.ATTRIBUTE: {5: _Part.TENSOR, 10: _Part.TENSOR, 22: _Part.SPARSE, 23: _Part.SPARSE},
    _Part.TENSOR: {},
    _Part.SPARSE: {1: _Part.TENSOR, 2: _Part.TENSOR},
}
_REFUSED = {
    # The manifest's hash would not hold for other files, and any path could be named.
    (_Part.TENSOR, 13): "expected all data inside the file",
    (_Part.TENSOR, 14): "expected all data inside the file",
    # Of loops nothing bounds how long they take.
    (_Part.ATTRIBUTE, 6): "expected no operator with a graph of its own, as loops have",
    (_Part.ATTRIBUTE, 11): "expected no operator with a graph of its own, as loops have",
    (_Part.MODEL, 20): "expected a model without a recipe for training",
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
# ONNX Runtime takes files of its own format too, where this stands behind four bytes.
_OTHER_FORMAT = b"ORTM"


def check_model(model: bytes) -> None:
    """Raises ValueError for a file that is no model of plain operators with all its data inside,
    or of more than MAX_NODES of them."""
    if model[4:8] == _OTHER_FORMAT:
        raise ValueError("expected ONNX")
    nodes = 0
    waiting = [(_Part.MODEL, memoryview(model))]
    while waiting:
        part, data = waiting.pop()
        for number, value in _fields(data):
            if (part, number) in _REFUSED and value != 0:
                raise ValueError(_REFUSED[part, number])
            inner = _WITHIN[part].get(number)
            if inner is not None and isinstance(value, memoryview):
                waiting.append((inner, value))
                nodes += inner is _Part.NODE
            if nodes > MAX_NODES:
                raise ValueError(f"expected at most {MAX_NODES} operators")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The number of each field with its value: a number where it is a varint, else its bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 2**29:
            raise ValueError("not ONNX: a field without a number")
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"not ONNX: a field of kind {kind}")
        if size > len(data) - at:
            raise ValueError("not ONNX: it ends too early")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number, seven bits a byte, and where the next begins."""
    number = 0
    for place, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        number |= (byte & 127) << 7 * place
        if byte < 128:
            return number, at + place + 1
    raise ValueError("not ONNX: a number without end")
