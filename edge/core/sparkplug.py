"""Payloads of Sparkplug B, after the Eclipse Sparkplug specification 3.0.0, chapter 6.

Of a payload what is needed is read: its time, its sequence number and its metrics of one number.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from math import isfinite

from edge.core.payload import MAX_BYTES, MAX_ITEMS, PayloadError, TooLarge, WrongType
from edge.core.protobuf import BYTES, FIXED32, FIXED64, VARINT, NotProtobuf, field, fields

NAMESPACE = "spBv1.0"
BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"
GOOD = 192
"""Of the property Quality, which a metric may have; 0 is bad, 500 stale."""
_WIRE = {VARINT: "a number", FIXED64: "8 bytes", BYTES: "bytes", FIXED32: "4 bytes"}


class NoValue(PayloadError):
    """The sender says that a metric has no value now, or none that it stands for."""

    reason = "null"


class DataType(IntEnum):
    """Those whose values are one number."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11


_SIGNED = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_UNSIGNED = {DataType.UINT8: 8, DataType.UINT16: 16, DataType.UINT32: 32, DataType.UINT64: 64}
_INT, _LONG, _FLOAT, _DOUBLE, _BOOLEAN = 10, 11, 12, 13, 14


@dataclass(frozen=True, slots=True)
class Metric:
    """A value as it was sent. Its `name` may be left out where an `alias` stands for it, its
    `datatype` where its birth told it; `time_ms` is since 1970."""

    name: str | None = None
    alias: int | None = None
    time_ms: int | None = None
    datatype: int | None = None
    is_null: bool = False
    value: int | float | None = None
    quality: int = GOOD


@dataclass(frozen=True, slots=True)
class Payload:
    """What one message holds. A `seq` that is left out is 0, as some write that; the death of a
    node has none at all."""

    time_ms: int | None
    seq: int
    metrics: Sequence[Metric]


def read_payload(data: bytes) -> Payload:
    """The payload in `data`. Raises NotProtobuf or TooLarge."""
    if len(data) > MAX_BYTES:
        raise TooLarge(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    time_ms, seq = None, 0
    metrics: list[Metric] = []
    for number, wire, value in fields(data):
        if number == 1:
            time_ms = _whole(value, wire, "timestamp")
        elif number == 2:
            if len(metrics) == MAX_ITEMS:
                raise TooLarge(f"expected at most {MAX_ITEMS} metrics")
            metrics.append(_metric(_raw(value, wire, BYTES, "metric")))
        elif number == 3:
            seq = _whole(value, wire, "seq")
    return Payload(time_ms, seq, metrics)


def _metric(data: bytes) -> Metric:
    found: dict[int, int | float | str | None] = {}
    value: int | float | None = None
    quality = GOOD
    for number, wire, raw in fields(data):
        if number == 1:
            found[1] = _text(_raw(raw, wire, BYTES, "name"))
        elif number in (2, 3, 4, 7):
            found[number] = _whole(raw, wire, "metric")
        elif number in (_INT, _LONG, _BOOLEAN):
            value = _whole(raw, wire, "value")
        elif number == _FLOAT:
            (value,) = struct.unpack("<f", _raw(raw, wire, FIXED32, "float"))
        elif number == _DOUBLE:
            (value,) = struct.unpack("<d", _raw(raw, wire, FIXED64, "double"))
        elif number == 9:
            quality = _quality(_raw(raw, wire, BYTES, "properties"))
    return replace(_named(found), value=value, quality=quality)


def _quality(data: bytes) -> int:
    """Of a PropertySet: names and values come each in their order."""
    names: list[bytes] = []
    values: list[bytes] = []
    for number, wire, raw in fields(data):
        if number in (1, 2):
            (names if number == 1 else values).append(_raw(raw, wire, BYTES, "property"))
    for name, value in zip(names, values, strict=False):
        if name == b"Quality":
            found = [raw for number, _, raw in fields(value) if number in (3, 4)]
            return next((one for one in found if isinstance(one, int)), GOOD)
    return GOOD


def _named(found: Mapping[int, int | float | str | None]) -> Metric:
    def whole(number: int) -> int | None:
        value = found.get(number)
        return value if isinstance(value, int) else None

    name = found.get(1)
    return Metric(
        name if isinstance(name, str) else None, whole(2), whole(3), whole(4), bool(found.get(7))
    )


def _raw(value: int | bytes, wire: int, wanted: int, what: str) -> bytes:
    if wire != wanted or not isinstance(value, bytes):
        raise NotProtobuf(f"{what}: expected {_WIRE[wanted]}, got {_WIRE[wire]}")
    return value


def _whole(value: int | bytes, wire: int, what: str) -> int:
    if not isinstance(value, int):
        raise NotProtobuf(f"{what}: expected {_WIRE[VARINT]}, got {_WIRE[wire]}")
    return value


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise NotProtobuf("a name is not UTF-8") from None


def number_of(metric: Metric, datatype: int | None, name: str) -> float:
    """Its value as `datatype` says: a signed one is sent as its two's complement, a true as 1.
    Raises NoValue where it is null, WrongType for what is no finite number. `name` is for the
    text."""
    if metric.is_null:
        raise NoValue(f"{name}: it has no value now")
    if metric.quality != GOOD:
        raise NoValue(f"{name}: its sender gives it the quality {metric.quality}", reason="quality")
    value = metric.value
    if value is None or datatype not in DataType.__members__.values():
        raise WrongType(f"{name}: expected a number, got data type {datatype}")
    kind = DataType(datatype or 0)
    bits = _SIGNED.get(kind) or _UNSIGNED.get(kind)
    if (kind in (DataType.FLOAT, DataType.DOUBLE)) != isinstance(value, float):
        raise WrongType(f"{name}: {kind.name} and its value do not fit")
    if bits is not None:
        value = int(value) & (1 << bits) - 1
        if kind in _SIGNED and value >> bits - 1:
            value -= 1 << bits
    if not isfinite(value):
        raise WrongType(f"{name}: expected a finite number, got {value}")
    return float(value)


def rebirth(now_us: int) -> bytes:
    """The payload that asks a node for its births (NCMD)."""
    metric = field(1, REBIRTH.encode()) + field(3, now_us // 1000)
    metric += field(4, DataType.BOOLEAN) + field(_BOOLEAN, 1)
    return field(1, now_us // 1000) + field(2, metric)
