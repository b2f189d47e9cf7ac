"""Payloads of Sparkplug B for tests: as hex, some that Google's own runtime made after the
published schema; and others, made here."""

from __future__ import annotations

import struct

from edge.core.protobuf import FIXED32, FIXED64, field, varint

T_MS = 1_700_000_000_000
VECTORS = {
    "nbirth": (
        "0880d095ffbc3112120a0562645365711880d095ffbc312004580712210a144e6f646520436f6e74"
        "726f6c2f526562697274681880d095ffbc31200b7000121e0a0c537570706c792f566f6c74731001"
        "1886ce95ffbc312009650000c44112190a0653657269616c10021880d095ffbc31200c7a04612d31"
        "371800"
    ),
    "types": (
        "0880d095ffbc31120e0a04696e7438200150fbffffff0f12110a0a696e74382d73686f7274200150"
        "fb01120f0a05696e743136200250d4fdffff0f120f0a05696e74333220035090ddfbff0f12140a05"
        "696e743634200458809ce8afedffffffff01120c0a0575696e7438200550fa01120e0a0675696e74"
        "3136200650e8fb0312100a0675696e74333220075080d0acf30e12150a0b75696e7433322d6c6f6e"
        "6720075880d0acf30e12130a0675696e7436342008588080808080808010120e0a05666c6f617420"
        "09650000003f12130a06646f75626c65200a69fca9f1d24d6250bf120d0a07626f6f6c65616e200b"
        "7001120d0a06737472696e67200c7a0131120f0a0464617465200d5880d095ffbc3112100a036e61"
        "6e200a69000000000000f87f120a0a046e756c6c200a3801120e0a05627974657320118201020102"
        "1801"
    ),
    "ndata": "08e8d795ffbc31120e100118e8d795ffbc31650000c2411802",
    "extras": (
        "08d0df95ffbc311227100118d0df95ffbc31280142034201644a100a075175616c69747912050803"
        "18f403650000803f1803"
    ),
    "ndeath": "120b0a05626453657120045807",
    "rebirth": (
        "0880d095ffbc3112210a144e6f646520436f6e74726f6c2f526562697274681880d095ffbc31200b7001"
    ),
}
"""nbirth: seq 0, bdSeq 7, the alias 1 for Supply/Volts (Float, 24.5). types: each data type by its
name. ndata, extras: alias 1, 24.25 and 1.0, the second historical, with metadata and properties."""


def vector(name: str) -> bytes:
    return bytes.fromhex(VECTORS[name])


def metric(
    name: str | None = None,
    value: float | None = None,
    *,
    alias: int | None = None,
    datatype: int | None = None,
    time_ms: int | None = None,
    integer: int | None = None,
    null: bool = False,
) -> bytes:
    """`value` is sent as a Double, `integer` as a long."""
    out = b"" if name is None else field(1, name.encode())
    for number, one in ((2, alias), (3, time_ms), (4, datatype), (11, integer)):
        out += b"" if one is None else field(number, one)
    out += field(7, 1) if null else b""
    return out + (b"" if value is None else varint(13 << 3 | FIXED64) + struct.pack("<d", value))


def single(value: float, alias: int, time_ms: int) -> bytes:
    """A metric of a Float."""
    out = field(2, alias) + field(3, time_ms)
    return out + varint(12 << 3 | FIXED32) + struct.pack("<f", value)


def payload(seq: int | None, *metrics: bytes, time_ms: int | None = T_MS) -> bytes:
    out = b"" if time_ms is None else field(1, time_ms)
    for one in metrics:
        out += field(2, one)
    return out + (b"" if seq is None else field(3, seq))


def death(bd_seq: int) -> bytes:
    return payload(None, metric("bdSeq", datatype=4, integer=bd_seq), time_ms=None)
