"""The seeds of the corpus: `python -m tests.fuzz.seeds` writes those that are not there yet. Their
names say where they come from: a golden message, a sample of the tests, or how they were made."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from contracts.headers import Headers
from contracts.readings import Column, Position, ReadingBatch, encode
from tests import samples
from tests.clips import encode_h264, moving
from tests.fuzz.corpus import FOLDER
from tests.fuzz.targets import CAMERAS, PLANT, SOURCES
from tests.golden import files
from tests.images import ROOT
from tests.sparkplug import T_MS, VECTORS, metric, payload, vector

Seeds = Iterator[tuple[str, str, bytes]]
"""The target, the name and the bytes of each."""


def seeds() -> Seeds:
    """All of them."""
    yield from _messages()
    yield from _readings()
    yield from _packages()
    yield from _images()
    yield from _videos()
    yield from _mqtt()
    yield from _sparkplug()
    yield from _texts()


def with_headers(headers: Headers, value: bytes) -> bytes:
    """A message as targets.headed reads it."""
    return b"\n".join(name.encode() + b": " + raw for name, raw in headers) + b"\n\n" + value


def _messages() -> Seeds:
    for file in sorted(files.FOLDER.glob("*.json")):
        out = files.load(file.stem)
        value = with_headers(out.headers, out.value or b"")
        yield "messages", f"golden-{file.stem}", out.topic.encode() + b"\n" + value
        if file.stem.startswith("detections"):
            yield "detections", f"golden-{file.stem}", out.value or b""
        if file.stem.startswith(("frame", "evidence")):
            yield "frames", f"golden-{file.stem}", value
        if file.stem.startswith("readings"):
            yield "readings", f"golden-{file.stem}", value
            yield "detect", f"golden-{file.stem}", value


def _batch(rows: int, width: int) -> ReadingBatch:
    random = np.random.default_rng(rows)
    quality = np.zeros((rows, width), np.uint8)
    times = samples.T0 + np.arange(rows) * 100_000
    values = random.normal(100, 1, (rows, width))
    columns = tuple(Column(f"flow{at}", "m3/h") for at in range(width))
    position = Position(9, samples.T0, samples.T0 + 3_600_000_000, samples.T0 - 1, samples.T0)
    return ReadingBatch(samples.ASSET, position, columns, times, values, quality)


def _readings() -> Seeds:
    for rows, width in ((0, 1), (1, 1), (7, 3), (100, 2)):
        value, headers = encode(_batch(rows, width), source="edge/a")
        made = with_headers(headers, value)
        yield "readings", f"made-{rows}-rows-of-{width}", made
        yield "detect", f"made-{rows}-rows-of-{width}", made
    value, headers = encode(_batch(7, 3), source="edge/a")
    batch = pa.ipc.open_stream(value).read_next_batch()
    mask = np.arange(7) % 2 == 0
    gaps = batch.set_column(1, batch.schema.field(1), pa.array(np.ones(7), mask=mask))
    older = pa.ipc.IpcWriteOptions(use_legacy_format=True)
    for name, one, options in (
        ("lz4", batch, pa.ipc.IpcWriteOptions(compression="lz4")),
        ("zstd", batch, pa.ipc.IpcWriteOptions(compression="zstd")),
        ("nulls", gaps, pa.ipc.IpcWriteOptions()),
        ("slice", gaps.slice(2, 3), pa.ipc.IpcWriteOptions()),
        ("older-format", batch, older),
    ):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, one.schema, options=options) as writer:
            writer.write_batch(one)
        yield "readings", f"arrow-{name}", with_headers(headers, sink.getvalue().to_pybytes())


def _packages() -> Seeds:
    folder = ROOT / "models"
    yield "models", "shipped-whut-lstm", (folder / "whut-lstm" / "model.onnx").read_bytes()
    for name in ("whut-lstm", "piped-lite0"):
        yield "manifests", f"shipped-{name}", (folder / name / "manifest.json").read_bytes()
    yield "golden", "shipped-whut-lstm", (folder / "whut-lstm" / "golden.npz").read_bytes()
    for name, array in (
        ("float64", np.ones((2, 3))),
        ("text", np.array(["a/b", "c"])),
        ("columns", np.ones((3, 2), np.float32, order="F")),
        ("scalar", np.float64(1)),
        ("objects", np.array([None, 1], object)),
        ("records", np.zeros(2, [("a", "<f4"), ("b", "<i8")])),
    ):
        file = io.BytesIO()
        np.save(file, array)
        yield "golden", f"numpy-{name}", file.getvalue()
    for name, method in (("bzip2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA)):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr("score.npy", bytes(1000))
        yield "golden", f"zip-{name}", file.getvalue()


def _images() -> Seeds:
    random = np.random.default_rng(1)
    grey = random.integers(0, 255, (17, 23)).astype(np.uint8)
    colours, deep = np.dstack([grey] * 3), grey.astype(np.uint16) * 257
    made: tuple[tuple[str, str, Any, tuple[int, ...]], ...] = (
        ("png-grey", ".png", grey, ()),
        ("png-colours", ".png", colours, ()),
        ("png-alpha", ".png", np.dstack([colours, grey]), ()),
        ("png-16-bits", ".png", deep, ()),
        ("jpeg", ".jpg", colours, ()),
        ("jpeg-grey", ".jpg", grey, ()),
        ("jpeg-progressive", ".jpg", colours, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        ("jpeg-restart", ".jpg", colours, (cv2.IMWRITE_JPEG_RST_INTERVAL, 1)),
        ("tiff-lzw", ".tiff", colours, ()),
        ("tiff-16-bits", ".tiff", deep, (cv2.IMWRITE_TIFF_COMPRESSION, 1)),
        ("tiff-deflate", ".tiff", grey, (cv2.IMWRITE_TIFF_COMPRESSION, 8)),
        ("tiff-packbits", ".tiff", grey, (cv2.IMWRITE_TIFF_COMPRESSION, 32773)),
        ("tiff-float", ".tiff", grey.astype(np.float32), ()),
        ("bmp", ".bmp", colours, ()),
        ("webp", ".webp", colours, ()),
    )
    for name, suffix, image, options in made:
        data = cv2.imencode(suffix, image, options)[1].tobytes()
        for target in ("edge-images", "stream-images", "image-heads"):
            yield target, f"opencv-{name}", data


def _videos() -> Seeds:
    clip = encode_h264(list(moving(3, (64, 48))), fps=15, gop=2, bit_rate=50_000)
    yield "videos", "h264-matroska", clip
    yield "videos", "playlist", b"#EXTM3U\n#EXTINF:1,\nfile:/etc/hostname\n#EXT-X-ENDLIST\n"
    frames = [cv2.imencode(".jpg", one)[1].tobytes() for one in moving(2, (64, 48))]
    yield "videos", "mjpeg", b"".join(frames)


def _mqtt() -> Seeds:
    payloads = (
        b'{"value": 81.25, "t": 1700000000000}',
        b'{"value": 8, "t": "2023-11-14T22:13:20.5+01:00"}',
        b'{"samples": [{"p": 3.5, "t": 1700000000001}, {"p": 4, "t": 1699999999999.5}]}',
        b'{"samples": {"p": [1, {"a": null}], "t": true}, "value": "1", "t": -1}',
        b"12.5",
    )
    for at, one in enumerate(payloads):
        yield "payload", f"made-{at}", one
    publish = b'\x32\x0d\0\5rig/a\1\2{"v"'
    five = b'\x32\x0e\0\5rig/a\1\2\0{"v"'
    answers = b"\x20\2\0\0\x90\3\0\1\1\xd0\0\x40\2\0\1"
    yield "wire", "made-mqtt-3", b"\4" + answers + publish + b"\x30\x07\0\5rig/b" + publish
    answers = b"\x20\3\0\0\0\x90\4\0\1\0\1\xd0\0\x40\2\0\1\xe0\2\x8e\0"
    yield "wire", "made-mqtt-5", b"\xff" + five + answers + publish
    yield "wire", "made-properties", b"\xff\x32\x13\0\5rig/b\1\2\7\2\0\0\0\1\1\1xyz" + five


def _sparkplug() -> Seeds:
    for at, name in enumerate(VECTORS):
        yield "sparkplug", f"other-{name}", bytes([at]) + vector(name)
    born = payload(1, metric("Outputs/Flow", 5.0, alias=10, datatype=10, time_ms=T_MS))
    yield "sparkplug", "made-dbirth", b"\3" + born


def _texts() -> Seeds:
    for file in (PLANT, CAMERAS, SOURCES):
        yield "plant", f"tests-{file.stem}", file.read_bytes()
    for file in sorted((PLANT.parents[1] / "bad").glob("*.yaml")):
        if file.stat().st_size < 700:
            yield "plant", f"tests-bad-{file.stem}", file.read_bytes()
    codes = "m3/h l/min;kPa Pa;Cel K;10*3/uL 1;[degF] Cel;B[SPL] dB;{packets} 1;kg.m-1.s-2 Pa"
    for at, pair in enumerate(codes.split(";")):
        yield "units", f"made-{at}", pair.encode()


def main() -> None:
    """What is there is never changed."""
    for target, name, data in seeds():
        file = FOLDER / target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_bytes(data)


if __name__ == "__main__":
    main()
