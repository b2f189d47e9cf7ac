"""Bytes that ask for too much are refused by what they say, before anything is made of them. That
the decoders stay within their bounds is measured in tests/fuzz."""

from __future__ import annotations

import weakref
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from contracts.errors import DecodeError, FieldError, ModelError
from contracts.frames import MAX_PIXELS, FrameHeaders
from contracts.headers import header_map, int_header
from contracts.image_heads import read_head
from contracts.messages import DetectionBatch, decode_json
from contracts.plant import check_plant
from contracts.plant.lines import MAX_DEPTH
from contracts.readings import ReadingDecoder, encode
from contracts.units import UnitError, check_unit, conversion
from edge.core.payload import NotJson, Parsed
from stream.adapters.onnx_package import open_session
from stream.core.golden import read_arrays
from stream.core.manifest import MAX_BYTES, read_any
from stream.core.model_file import MAX_NODES, check_model
from tests import onnx_files as onnx
from tests import samples
from tests.fuzz import bombs

made = cache(lambda bombs: dict(bombs()))
VALUE, HEADERS = encode(samples.batch(), source="edge/a")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("png-a-part-of-2-gb", "longer than all"),
        ("png-animated", "an animation"),
        ("jpeg-10000-scans", "more than 100 scans"),
        ("tiff-long8", "odd way"),
        ("tiff-size-twice", "odd way"),
        ("tiff-tiles", "tiles of 32768 x 32768"),
    ],
)
def test_images_that_lie(name: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        read_head(made(bombs.images)[name])


@pytest.mark.parametrize("name", ["png-30000", "jpeg-65500", "tiff-30000"])
def test_images_that_are_too_large_say_so(name: str) -> None:
    head = read_head(made(bombs.images)[name])
    assert head.width * head.height > MAX_PIXELS


def arrow(options: pa.ipc.IpcWriteOptions) -> bytes:
    batch = pa.ipc.open_stream(VALUE).read_next_batch()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_a_compressed_batch(codec: str) -> None:
    with pytest.raises(DecodeError, match="compressed"):
        ReadingDecoder().decode(arrow(pa.ipc.IpcWriteOptions(compression=codec)), HEADERS)


def test_a_batch_of_the_format_before_its_marker() -> None:
    """Its metadata lie elsewhere: a codec in there would not be seen."""
    older = arrow(pa.ipc.IpcWriteOptions(use_legacy_format=True, compression="zstd"))
    schema = VALUE[: 8 + int.from_bytes(VALUE[4:8], "little")]
    batch = older[4 + int.from_bytes(older[:4], "little") :]
    with pytest.raises(DecodeError, match="older format"):
        ReadingDecoder().decode(schema + batch, HEADERS)


@pytest.mark.parametrize("time_us", [2**61, -(2**61), 2**63 - 1, -(2**63)])
def test_event_times_that_no_clock_shows(time_us: int) -> None:
    batch = samples.batch()
    batch.times_us[1] = time_us
    decoder, message = ReadingDecoder(), encode(batch, source="edge/a")
    for _ in range(2):
        with pytest.raises(DecodeError, match="no clock") as caught:
            decoder.decode(*message)
    assert caught.value.reason == "time"


@pytest.mark.parametrize("number", [b"4611686018427387905", b"-4611686018427387905", b"9" * 5_000])
def test_headers_with_numbers_beyond_what_is_reckoned_with(number: bytes) -> None:
    assert int_header({"n": b"-4611686018427387904"}, "n") == -(2**62)
    with pytest.raises(FieldError, match="within 2"):
        int_header({"n": number}, "n")
    headers = header_map(samples.frame().headers(source="edge/a"))
    with pytest.raises(DecodeError, match="time_us"):
        FrameHeaders.parse(headers | {"ce_timeus": number})


def test_of_many_mistakes_in_json_one_is_told() -> None:
    columns = b",".join([b'""'] * 1_000)
    value = b'{"asset":"a","detector":"d","kind":"k","plant":"p","start_us":[' + columns + b"]}"
    with pytest.raises(DecodeError, match=r"start_us\.0"):
        decode_json(DetectionBatch, value)
    with pytest.raises(ModelError, match="at most"):
        read_any(b" " * (MAX_BYTES + 1))


@pytest.mark.parametrize("number", [b"9" * 30, b"9" * 400, b"-" + b"9" * 30, b"1e30"])
def test_times_in_json_beyond_what_is_reckoned_with(number: bytes) -> None:
    value = samples.outgoing(samples.detections()).value or b""
    changed = value.replace(b'"received_us":[', b'"received_us":[' + number + b",", 1)
    with pytest.raises(DecodeError, match=r"received_us|number"):
        decode_json(DetectionBatch, changed)


def test_what_was_wrong_with_a_payload_does_not_keep_the_payload() -> None:
    class Document:
        """What was decoded."""

    def look() -> None:
        document = Document()
        kept.append(weakref.ref(document))
        raise NotJson("wrong")

    kept: list[weakref.ref[Document]] = []
    parsed = Parsed()
    try:
        look()
    except NotJson as error:
        parsed.fail(error)
    assert parsed.error is not None and kept[0]() is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("billion-laughs", "aliases"),
        ("merges", "aliases"),
        ("deep-flow", "nested too deep"),
        ("deep-maps", "nested too deep"),
        ("deep-blocks", "nested too deep"),
        ("deep-lists", "nested too deep"),
        ("base-60", "at most 10000 characters"),
        ("base-60-with-point", "needs quotes"),
        ("a-long-number", "at most 10000 characters"),
        ("many-values", "more than 300000 values"),
        ("keys-of-keys", "nested too deep"),
    ],
)
def test_plant_files_that_ask_for_too_much(name: str, why: str) -> None:
    plant, problems = check_plant(made(bombs.plant)[name])
    assert plant is None
    assert [why in problem.text for problem in problems] == [True]


def test_a_plant_file_may_be_as_deep_as_it_says() -> None:
    for depth, deep in ((MAX_DEPTH, False), (MAX_DEPTH + 1, True)):
        text = check_plant("[" * depth + "]" * depth)[1][0].text
        assert (text == "nested too deep") is deep


@pytest.mark.parametrize("code", ["10*9999999", "10^9999999", "m" * 65, "(" * 40 + "m" + ")" * 40])
def test_units_that_are_numbers_of_millions_of_digits(code: str) -> None:
    with pytest.raises(UnitError, match="expected a UCUM code"):
        check_unit(code)


def test_an_annotation_alone_is_the_unity() -> None:
    check_unit("{packets}")
    assert conversion("{packets}", "1") == (1.0, 0.0)
    assert conversion("%", "{packets}") == (0.01, 0.0)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("O-of-1,", "numbers or text"),
        ("f8-of-1000000000000,", "numbers or text"),
        ("f8-of-4000000000,", "numbers or text"),
        ("f8-of-1,", "expected"),
        ("deep-head", "numbers or text"),
        ("300-mb", "at most 200000000 bytes"),
        ("longer-than-it-says", "CRC|numbers or text"),
        ("4-million-members", "at most 64 arrays"),
    ],
)
def test_golden_samples_that_are_none(name: str, why: str) -> None:
    content = made(bombs.golden)[name]
    if content.startswith(b"\x93NUMPY"):
        content = bombs.archive(content)
    with pytest.raises(ValueError, match=f"(?i){why}"):
        read_arrays(content, ("score",))


def test_arrays_are_read_as_numpy_wrote_them(tmp_path: Path) -> None:
    made = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": np.asfortranarray(np.arange(6, dtype=np.int8).reshape(2, 3)),
        "c": np.array(["north/line1", "ñ"]),
        "d": np.zeros((0, 4), np.float32),
        "e": np.array(7, np.uint16),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "golden.npz", **made)  # type: ignore[arg-type]
        found = read_arrays((tmp_path / "golden.npz").read_bytes(), tuple(made))
        for (name, array), one in zip(made.items(), found, strict=True):
            assert one.dtype == array.dtype and np.array_equal(one, array), name


def outside(key: bytes, path: str) -> bytes:
    """A tensor whose data lie in another file."""
    named = b"\x0a" + key + onnx.field(2, path)
    return onnx.field(8, "w") + onnx.field(13, named) + onnx.field(14, 1)


@pytest.mark.parametrize("path", ["weights.bin", "../weights.bin", "/etc/passwd", "link"])
@pytest.mark.parametrize("key", [b"\x08location", b"\x88\x00location"], ids=["plain", "overlong"])
def test_models_with_data_outside_wherever_they_name_it(
    key: bytes, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(4))
    (tmp_path / "link").symlink_to("/etc/passwd")
    monkeypatch.chdir(tmp_path)
    tensor = outside(key, path)
    sparse = onnx.field(1, tensor)
    attributes = (onnx.field(5, tensor), onnx.field(10, tensor), onnx.field(22, sparse))
    graphs = [onnx.field(5, tensor), onnx.field(15, sparse)]
    graphs += [onnx.field(1, onnx.field(5, one)) for one in attributes]
    models = [onnx.field(7, graph) for graph in graphs]
    models.append(onnx.field(25, onnx.field(7, onnx.field(5, attributes[0]))))
    for model in models:
        with pytest.raises(ModelError, match="inside the file"):
            open_session(model, tmp_path, 1, "window", ("score",))


def test_models_that_are_not_plain() -> None:
    loop = onnx.field(5, onnx.field(6, onnx.field(2, "g")))
    with pytest.raises(ValueError, match="graph of its own"):
        check_model(onnx.field(7, onnx.field(1, loop)))
    with pytest.raises(ValueError, match="training"):
        check_model(onnx.field(20, b""))
    check_model(onnx.field(7, onnx.field(1, b"") * MAX_NODES))
    with pytest.raises(ValueError, match="operators"):
        check_model(onnx.field(7, onnx.field(1, b"") * (MAX_NODES + 1)))


@pytest.mark.parametrize(
    "model",
    [
        b"\x0a\xff",
        b"\x0a\x05abc",
        b"\x00\x01",
        b"\x0b\x0c",
        b"\xff" * 11,
        b"\x0d\0\0",
        b"\x08\x01\x08\x01ORTM" + bytes(10),
    ],
)
def test_what_is_no_onnx(model: bytes) -> None:
    with pytest.raises(ValueError, match="ONNX"):
        check_model(model)
