"""Bytes that are made to take much: memory, depth or time. What is large is made here, not kept."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
import pyarrow as pa

from contracts.readings import encode
from tests import onnx_files as onnx
from tests import samples
from tests.fuzz.corpus import FOLDER
from tests.fuzz.seeds import with_headers

Bombs = Iterator[tuple[str, bytes]]
HUGE = 100_000_000
_DEEP = 100_000


def json_bombs() -> Bombs:
    """100 MB, nesting, numbers without end, and many small things in what is allowed."""
    yield "100-mb", b"[" + b"1," * (HUGE // 2) + b"1]"
    yield "deep-arrays", b"[" * _DEEP
    yield "deep-objects", b'{"a":' * _DEEP + b"1" + b"}" * _DEEP
    yield "a-long-number", b'{"t": ' + b"9" * 900_000 + b"}"
    yield "a-long-fraction", b'{"value": 0.' + b"3" * 900_000 + b"}"
    for text in (b"[]", b"{}", b'""', b"1.5"):
        many = b",".join([text] * (900_000 // (len(text) + 1)))
        yield f"many-{text.hex()}", b'{"value": [' + many + b"]}"


def wire() -> Bombs:
    yield "100-mb-message", b"\4\x32\x80\xc2\xd7\x2f\0\5rig/a\1\2" + bytes(HUGE)
    yield "100-mb-of-no-topic", b"\4\x32\x80\xc2\xd7\x2f\xff\xff" + b"a" * HUGE
    yield "a-huge-answer", b"\4\x90\xff\xff\xff\x7f" + bytes(3_000_000)
    yield "huge-properties", b"\xff\x32\x80\xc2\xd7\x2f\0\5rig/a\1\2\xff\xff\xff\x7f" + bytes(HUGE)


def detections() -> Bombs:
    yield from json_bombs()
    head = b'{"asset":"a","detector":"d","kind":"k","plant":"p","evidence":{},"start_us":['
    for text in (b'""', b"1", b"9" * 400):
        yield (
            f"columns-{len(text)}-{text[:1].hex()}",
            head + b",".join([text] * (1_000_000 // (len(text) + 1))) + b"]}",
        )
    yield "old-items", b'{"items":[' + b",".join([b"{}"] * 330_000) + b"]}"


def manifests() -> Bombs:
    yield from json_bombs()
    yield "as-much-as-is-read", b'{"kind": [' + b"[]," * 660_000 + b"1]}"
    yield "metrics", b'{"kind":"image","metrics":{"a":' + b"[" * 150 + b"]" * 150 + b"}}"
    yield (
        "wrong-names",
        b'{"kind":"autoencoder","signals":[' + b",".join([b"1"] * 2_400_000) + b"]}",
    )


def readings() -> Bombs:
    rows, width = 100_000, 100
    names = [f"s{at}" for at in range(width)]
    flat = pa.array(np.zeros(rows * width, np.uint8))
    columns = [pa.array(np.zeros(rows, np.int64), pa.timestamp("us", tz="UTC"))]
    columns += [pa.array(np.zeros(rows))] * width
    columns.append(pa.FixedSizeListArray.from_arrays(flat, width))
    batch = pa.record_batch(columns, ["time", *names, "quality"])
    _, headers = encode(samples.batch(), source="e")
    for codec in ("zstd", "lz4"):
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
            writer.write_batch(batch)
        yield codec, with_headers(headers, sink.getvalue().to_pybytes())
    value, headers = encode(samples.batch(), source="e")
    # The numbers of rows and of bytes, wherever they stand, say something else.
    for true in (3, 24, 6, 8):
        for lie in (2**62, 2**40, 2**31, 100_001, -1):
            said, other = (one.to_bytes(8, "little", signed=True) for one in (true, lie))
            yield f"{true}-is-{lie}", with_headers(headers, value.replace(said, other))
    yield "a-long-head", with_headers(headers, b"\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(900_000))
    yield "long", with_headers(headers, value + bytes(1_000_000))
    yield "numbers", with_headers([(name, b"9" * 4_000) for name, _ in headers], value)


def _png(width: int, height: int, depth: int, colours: int, rows: int, cell: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 + width * cell)) for _ in range(rows))
    head = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", packed + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _tiff(*entries: tuple[int, int, int], tail: bytes = bytes(3_000)) -> bytes:
    made = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + made + struct.pack("<I", 0) + tail


def images() -> Bombs:
    yield "png-30000", _png(30_000, 30_000, 8, 0, 10, 1)
    yield "png-40-megapixels-of-8-bytes", _png(8_000, 5_000, 16, 6, 5_000, 8)
    lie = bytearray(_png(8, 8, 8, 0, 8, 1))
    lie[33:37] = (0x7FFF_FFFF).to_bytes(4, "big")
    yield "png-a-part-of-2-gb", bytes(lie)
    animated = struct.pack(">I", 8) + b"acTL" + struct.pack(">II", 2**31 - 1, 0) + bytes(4)
    plain = _png(8, 8, 8, 0, 8, 1)
    yield "png-animated", plain[:33] + animated + plain[33:]
    grey = np.zeros((3_000, 3_000), np.uint8)
    jpeg = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    yield "jpeg-10000-scans", jpeg[:-2] + last * 10_000 + jpeg[-2:]
    at = jpeg.index(b"\xff\xc2") + 5
    yield "jpeg-65500", jpeg[:at] + struct.pack(">HH", 65_500, 65_500) + jpeg[at + 4 :]
    size = [(256, 4, 6_000), (257, 4, 6_000)]
    rest = [(258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 300), (277, 3, 1), (279, 4, 2**31)]
    yield "tiff-30000", _tiff((256, 4, 30_000), (257, 4, 30_000), *rest)
    yield "tiff-long8", _tiff((256, 16, 8), (257, 16, 8), *rest)
    yield (
        "tiff-size-twice",
        _tiff((256, 4, 9), (256, 4, 60_000), (257, 4, 9), (257, 4, 60_000), *rest),
    )
    yield "tiff-strips", _tiff(*size, *rest[:4], (277, 3, 4), (278, 4, 2**31 - 1), (279, 4, 2**31))
    yield "tiff-floats", _tiff(*size, (258, 3, 64), *rest[1:], (339, 3, 3))
    yield "tiff-samples", _tiff(*size, *rest[:4], (277, 3, 60_000), (279, 4, 2**31))
    tiles = [(322, 4, 32_768), (323, 4, 32_768), (324, 4, 300), (325, 4, 2_000)]
    yield "tiff-tiles", _tiff((256, 4, 16), (257, 4, 16), *rest[:3], (277, 3, 1), *tiles)
    head = struct.pack("<IIIIiiHHIIIIII", 1_000, 0, 1_078, 40, 6_000, 6_600, 1, 8, 1, 0, 0, 0, 0, 0)
    yield "bmp-run-lengths", b"BM" + head + bytes(1_024) + b"\0\1" * 2


def _array(head: str, data: bytes = bytes(100)) -> bytes:
    text = head.encode() + b" " * (117 - len(head) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


def golden() -> Bombs:
    for shape in ("1000000000000,", "999999999, 999999999", "4000000000,", "1,"):
        for kind in ("<f8", "|O", "<U9999", "|V2000000000"):
            head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}"
            yield f"{kind[1:]}-of-{shape.replace(', ', '-')}", _array(head)
    yield "deep-head", _array("{'descr': " + "(" * 9_000)
    yield "300-mb", archive(_array("{'descr': '|u1'}", bytes(300_000_000)))
    honest = bytearray(archive(bytes(100_000_000)))
    for name in (b"PK\3\4", b"PK\1\2"):
        at = honest.index(name) + (22 if name == b"PK\3\4" else 24)
        honest[at : at + 4] = (100).to_bytes(4, "little")
    yield "longer-than-it-says", bytes(honest)
    entry = b"PK\1\2" + bytes(42)
    count = 4_000_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, count * 46, 0, 0)
    yield "4-million-members", entry * count + end


def archive(content: bytes) -> bytes:
    """A `golden.npz` with one array."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("score.npy", content)
    return file.getvalue()


def models() -> Bombs:
    for name in ("../../../etc/passwd", "/etc/passwd", "weights.bin", "a/link"):
        for key in (b"\x08location", b"\x88\x00location", b"\x88\x80\x80\x00location"):
            named = b"\x0a" + key + onnx.field(2, name)
            outside = onnx.field(13, named) + onnx.field(14, 1)
            tensor = onnx.field(1, 4) + onnx.field(2, onnx.FLOAT) + onnx.field(8, "w") + outside
            yield f"outside-{len(name)}-{len(key)}", _model([], [tensor])
    for size in (10**9, 10**12, 2**62):
        for operator in ("Expand", "Tile"):
            nodes = [onnx.node(operator, ("window", "s"), ("big",)), _max("big")]
            yield f"{operator}-{size}", _model(nodes, [onnx.tensor("s", size, 1, 1)])
        nodes = [onnx.node("ConstantOfShape", ("s",), ("big",)), _max("big")]
        yield f"constant-{size}", _model(nodes, [onnx.tensor("s", size)])
    one = onnx.tensor("w", 1)
    for claim in (2**62, 2**40, -1):
        yield (
            f"dims-{claim}",
            _model([], [one.replace(b"\x08\x01", onnx.field(1, claim % 2**64), 1)]),
        )
    body = onnx.field(7, onnx.field(2, "g"))
    loop = onnx.field(5, onnx.field(1, "body") + onnx.field(20, 5) + onnx.field(6, body))
    yield "a-loop", _model([onnx.node("Loop", ("w",), ("x",), loop)], [one])
    nested = b""
    for _ in range(3_000):
        nested = onnx.field(1, onnx.field(5, onnx.field(6, nested)))
    yield "deep", onnx.field(7, nested)
    yield "many-operators", onnx.field(7, onnx.field(1, onnx.field(4, "Abs")) * 3_000_000)


def _max(name: str) -> bytes:
    return onnx.node("ReduceMax", (name,), ("top",))


def _model(nodes: list[bytes], tensors: list[bytes]) -> bytes:
    score = onnx.node("ReduceMean", ("window",), ("score",))
    same = onnx.node("Identity", ("window",), ("errors",))
    gives = [onnx.values("score"), onnx.values("errors", "n", "t", "f")]
    return onnx.model([*nodes, score, same], [onnx.values("window", "n", "t", "f")], gives, tensors)


def plant() -> Bombs:
    laughs = b"a0: &a0 [x, x]\n" + b"".join(
        b"a%d: &a%d [*a%d, *a%d]\n" % (at, at, at - 1, at - 1) for at in range(1, 60)
    )
    yield "billion-laughs", laughs
    yield "merges", b"a: &a {b: 1}\n" + b"c: {<<: [" + b"*a," * 10_000 + b"]}\n"
    yield "deep-flow", b"[" * _DEEP
    yield "deep-flow-with-values", b"[1, " * _DEEP
    yield "deep-maps", b"{a: " * _DEEP
    yield "deep-blocks", b"".join(b" " * at + b"a:\n" for at in range(2_000))
    yield "deep-lists", b"- " * _DEEP
    yield "base-60", b"a: 1" + b":1" * 200_000
    yield "base-60-with-point", b"a: 1" + b":1" * 300 + b".5"
    yield "a-long-number", b"a: " + b"9" * 1_000_000
    yield "100-mb", b"a: b\n" * (HUGE // 5)
    yield "many-values", b"[" + b"[]," * 400_000 + b"]"
    yield "many-mistakes", b"sites:\n" + b"- {a: 1}\n" * 15_000
    yield "keys-of-keys", b"? " * 2_000 + b"a"


def units() -> Bombs:
    long = ("9" * 60, "m." * 3_000 + "m", "(" * 9_000)
    for code in ("10*99999999", "10^-99999999", "m99999", *long):
        yield f"{code[:8].replace('/', '')}-{len(code)}", code.encode()
    yield "powers", b".".join([b"10*99999"] * 7)


def videos() -> Bombs:
    mjpeg = (FOLDER / "videos" / "mjpeg").read_bytes()
    at = mjpeg.index(b"\xff\xc0") + 5
    for side in (6_000, 20_000, 65_500):
        yield f"mjpeg-{side}", mjpeg[:at] + struct.pack(">HH", side, side) + mjpeg[at + 4 :]
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
    for name in (b"/etc/passwd", b"clip", b"http://127.0.0.1:9/a.ts", b"concat:clip|clip"):
        yield f"playlist-{len(name)}", playlist + b"#EXTINF:1,\n" + name + b"\n#EXT-X-ENDLIST\n"


BOMBS = {
    "payload": json_bombs,
    "wire": wire,
    "detections": detections,
    "manifests": manifests,
    "readings": readings,
    "edge-images": images,
    "stream-images": images,
    "golden": golden,
    "models": models,
    "plant": plant,
    "units": units,
    "videos": videos,
}
