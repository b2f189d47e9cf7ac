"""The size of an image from its first bytes, so that a huge one is refused before it is decoded."""

from __future__ import annotations

from typing import Literal, NamedTuple

from contracts.errors import DecodeError

_PNG, _JPEG, _BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"
_TIFF: dict[bytes, Literal["little", "big"]] = {b"II*\0": "little", b"MM\0*": "big"}
_MOST_SEGMENTS, _MOST_TAGS, _MOST_SCANS = 500, 500, 100
_MOST_CHUNKS = 20_000
_SCAN = b"\xff\xda"
_WIDTH_TAG, _HEIGHT_TAG = 256, 257
_TILE_TAGS = (322, 323)
_SHORT, _LONG = 3, 4
_LEAST_TILE = 2**20
# Start of frame: 0xC0 to 0xCF without the tables that have numbers among them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Head(NamedTuple):
    """What an image file says of itself."""

    format: str
    width: int
    height: int


def read_head(data: bytes) -> Head:
    """The head of a PNG, JPEG, TIFF or BMP. Raises DecodeError, never anything else; also for what
    its size does not bound: very many scans of a JPEG, parts of a PNG or TIFF larger than it."""
    if data.startswith(_PNG):
        head = _png(data)
    elif data.startswith(_JPEG):
        head = _jpeg(data)
    elif data[:4] in _TIFF:
        head = _tiff(data, _TIFF[data[:4]])
    elif data.startswith(_BMP):
        # A negative height means that the rows come from the top.
        high = _number(data, 22, 4, "little")
        head = Head("bmp", _number(data, 18, 4, "little"), min(high, 2**32 - high))
    else:
        raise DecodeError("no PNG, JPEG, TIFF or BMP image")
    if not head.width or not head.height:
        raise DecodeError(f"a {head.format} without size")
    return head


def _number(data: bytes, at: int, size: int, order: Literal["little", "big"]) -> int:
    raw = data[at : at + size]
    if len(raw) < size:
        raise DecodeError("the image ends in its head")
    return int.from_bytes(raw, order)


def _png(data: bytes) -> Head:
    at = len(_PNG)
    if data[at + 4 : at + 8] != b"IHDR":
        raise DecodeError("a PNG that does not begin with its head")
    # The decoder makes room for as much as a chunk says it has, and knows animations.
    for _ in range(_MOST_CHUNKS):
        size = _number(data, at, 4, "big")
        kind = data[at + 4 : at + 8]
        at += 12 + size
        if at > len(data) or kind == b"acTL":
            raise DecodeError("a broken png: a part that is longer than all, or an animation")
        if kind == b"IEND":
            return Head("png", _number(data, 16, 4, "big"), _number(data, 20, 4, "big"))
    raise DecodeError(f"a broken png: more than {_MOST_CHUNKS} parts")


def _jpeg(data: bytes) -> Head:
    # A progressive one is decoded once for each scan, of which 26 bytes are enough for one.
    if data.count(_SCAN) > _MOST_SCANS:
        raise DecodeError(f"a JPEG of more than {_MOST_SCANS} scans")
    at = 2
    for _ in range(_MOST_SEGMENTS):
        while data[at + 1 : at + 2] == b"\xff":
            at += 1
        mark = _number(data, at, 2, "big")
        if mark >> 8 != 0xFF:
            break
        if mark & 0xFF in _FRAMES:
            return Head("jpeg", _number(data, at + 7, 2, "big"), _number(data, at + 5, 2, "big"))
        at += 2 + _number(data, at + 2, 2, "big")
    raise DecodeError("a JPEG without a frame")


def _tiff(data: bytes, order: Literal["little", "big"]) -> Head:
    at = _number(data, 4, 4, order)
    found: dict[int, int] = {}
    for index in range(min(_number(data, at, 2, order), _MOST_TAGS)):
        entry = at + 2 + 12 * index
        tag, kind = _number(data, entry, 2, order), _number(data, entry + 2, 2, order)
        if tag not in (_WIDTH_TAG, _HEIGHT_TAG, *_TILE_TAGS):
            continue
        # Of other types, and of two tags, the decoder may take another number than this one.
        if kind not in (_SHORT, _LONG) or tag in found:
            raise DecodeError("a TIFF that says its size in an odd way")
        found[tag] = _number(data, entry + 8, 2 if kind == _SHORT else 4, order)
    head = Head("tiff", found.get(_WIDTH_TAG, 0), found.get(_HEIGHT_TAG, 0))
    tile = [found.get(one, 0) for one in _TILE_TAGS]
    if tile[0] * tile[1] > max(_LEAST_TILE, head.width * head.height):
        raise DecodeError(f"a TIFF of tiles of {tile[0]} x {tile[1]} pixels")
    return head
