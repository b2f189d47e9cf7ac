"""The codec of reading batches: what goes in comes out, and broken bytes end in MessageError."""

from __future__ import annotations

import contextlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from contracts.errors import DecodeError, FieldError, MessageError
from contracts.headers import NO_TIME, Headers, header_map
from contracts.readings import (
    CONTENT_TYPE,
    KIND,
    MAX_KNOWN_BYTES,
    Column,
    Position,
    ReadingBatch,
    ReadingDecoder,
    encode,
    position_of,
)
from tests import samples
from tests.fuzz.corpus import FOLDER
from tests.fuzz.targets import headed

I63 = st.integers(-(2**62), 2**62)
COLUMNS = st.lists(
    st.builds(
        Column,
        st.from_regex(r"[a-z0-9][a-z0-9_-]{0,12}", fullmatch=True),
        st.sampled_from(["1", "m3/h", "kPa", "Cel"]),
        st.sampled_from(["source", "arrival"]),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda column: column.signal,
)


@st.composite
def batches(draw: st.DrawFn) -> ReadingBatch:
    columns = tuple(draw(COLUMNS))
    rows = draw(st.integers(0, 6))
    shape = (rows, len(columns))
    return ReadingBatch(
        draw(st.from_regex(r"[a-z0-9]{1,9}/[a-z0-9]{1,9}", fullmatch=True)),
        Position(draw(st.integers(0, 2**50)), draw(I63), draw(I63), draw(I63), draw(I63)),
        columns,
        draw(arrays.arrays(np.int64, rows, elements=st.integers(-(2**60), 2**60))),
        draw(arrays.arrays(np.float64, shape, elements=st.floats(width=64))),
        draw(arrays.arrays(np.uint8, shape)),
    )


def same(one: ReadingBatch, other: ReadingBatch) -> bool:
    return (
        (one.asset, one.position, one.columns) == (other.asset, other.position, other.columns)
        and np.array_equal(one.times_us, other.times_us)
        and np.array_equal(one.values, other.values, equal_nan=True)
        and np.array_equal(one.quality, other.quality)
    )


@given(batches())
def test_what_is_encoded_is_decoded(batch: ReadingBatch) -> None:
    value, headers = encode(batch, source="edge/box-1")
    found = ReadingDecoder().decode(value, headers)
    assert same(found, batch)
    assert found.values.shape == (len(batch.times_us), len(batch.columns))
    assert (found.times_us.dtype.name, found.values.dtype.name) == ("int64", "float64")
    assert found.newest_us == (batch.times_us.max() if len(batch.times_us) else NO_TIME)


@given(batches())
def test_the_position_is_known_from_the_headers_alone(batch: ReadingBatch) -> None:
    _, headers = encode(batch, source="edge/box-1")
    assert position_of(header_map(headers)) == batch.position


@given(batches(), batches())
def test_one_decoder_reads_many_schemas(one: ReadingBatch, other: ReadingBatch) -> None:
    decoder = ReadingDecoder()
    for batch in (one, other, one):
        assert same(decoder.decode(*encode(batch, source="e")), batch)


VALUE, HEADERS = encode(samples.batch(), source="edge/box-1")


def only_message_errors(value: bytes | None, headers: Headers) -> None:
    with contextlib.suppress(MessageError):
        ReadingDecoder().decode(value, headers)


@given(st.binary(max_size=300))
def test_any_bytes_end_in_a_message_error(value: bytes) -> None:
    with pytest.raises(DecodeError):
        ReadingDecoder().decode(value, HEADERS)


@given(st.integers(0, len(VALUE) - 1))
def test_a_truncated_message_never_raises_anything_else(length: int) -> None:
    only_message_errors(VALUE[:length], HEADERS)


@given(st.lists(st.integers(0, len(VALUE) * 8 - 1), min_size=1, max_size=8))
def test_flipped_bits_never_raise_anything_else(bits: list[int]) -> None:
    value = bytearray(VALUE)
    for bit in bits:
        value[bit // 8] ^= 1 << bit % 8
    only_message_errors(bytes(value), HEADERS)


@given(st.dictionaries(st.sampled_from([n for n, _ in HEADERS]), st.binary(max_size=40)))
def test_any_headers_end_in_a_message_error(changes: dict[str, bytes]) -> None:
    only_message_errors(VALUE, [(name, changes.get(name, raw)) for name, raw in HEADERS])


@pytest.mark.parametrize("missing", ["ce_sequence", "ce_wmbefore", "ce_wmafter", "ce_received"])
def test_a_missing_header_is_named(missing: str) -> None:
    with pytest.raises(FieldError, match=missing):
        ReadingDecoder().decode(VALUE, [one for one in HEADERS if one[0] != missing])


def test_no_value_and_no_headers() -> None:
    with pytest.raises(DecodeError):
        ReadingDecoder().decode(None, HEADERS)
    with pytest.raises(DecodeError, match="expected vigia"):
        ReadingDecoder().decode(VALUE, None)


def test_a_later_version_is_refused_by_its_kind() -> None:
    later = [(name, raw.replace(b".v1", b".v2")) for name, raw in HEADERS]
    with pytest.raises(DecodeError) as caught:
        ReadingDecoder().decode(VALUE, later)
    assert caught.value.reason == "schema"


def arrow(schema: pa.Schema, rows: int = 0) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch([pa.nulls(rows, f.type) for f in schema], schema=schema))
    return bytes(sink.getvalue().to_pybytes())


TIME = pa.field("time", pa.timestamp("us", tz="UTC"))
QUALITY = pa.field("quality", pa.list_(pa.uint8(), 1))


@pytest.mark.parametrize(
    "fields",
    [
        [TIME, QUALITY],
        [pa.field("time", pa.timestamp("ms", tz="UTC")), pa.field("a", pa.float64()), QUALITY],
        [TIME, pa.field("a", pa.float32()), QUALITY],
        [TIME, pa.field("a", pa.string()), QUALITY],
        [TIME, pa.field("a", pa.float64()), pa.field("quality", pa.list_(pa.uint8(), 2))],
        [TIME, pa.field("a", pa.float64()), pa.field("b", pa.float64())],
    ],
    ids=["no-signal", "milliseconds", "float32", "text", "quality-of-two", "no-quality"],
)
def test_arrow_of_another_shape_is_refused(fields: list[pa.Field]) -> None:
    with pytest.raises(DecodeError):
        ReadingDecoder().decode(arrow(pa.schema(fields)), HEADERS)


def test_missing_cells_of_a_foreign_writer_are_no_crash() -> None:
    only_message_errors(arrow(pa.schema([TIME, pa.field("a", pa.float64()), QUALITY]), 3), HEADERS)


def test_the_content_type_is_arrows_own() -> None:
    named = header_map(HEADERS)
    assert named["content-type"].decode() == CONTENT_TYPE
    assert named["ce_type"].decode() == KIND
    assert named["ce_specversion"] == b"1.0"


def test_positions_follow_each_other() -> None:
    first = Position(0).after(newest_us=NO_TIME, wm_us=50, received_us=7)
    assert first == Position(1, NO_TIME, 50, NO_TIME, 7)
    second = first.after(newest_us=90, wm_us=40, received_us=9)
    assert second == Position(2, 50, 50, 90, 9)
    assert second.after(newest_us=80, wm_us=60, received_us=11) == Position(3, 50, 60, 90, 11)


def foreign(batch: ReadingBatch, options: pa.ipc.IpcWriteOptions, *, nulls: bool) -> bytes:
    """The batch as another Arrow writer would write it."""
    value, _ = encode(batch, source="e")
    found = pa.ipc.open_stream(value).read_next_batch()
    if nulls:
        gaps = np.isnan(batch.values[:, 0])
        column = pa.array(np.ascontiguousarray(batch.values[:, 0]), mask=gaps)
        found = found.set_column(1, found.schema.field(1), column)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.schema, options=options) as writer:
        writer.write_batch(found)
    return bytes(sink.getvalue().to_pybytes())


@pytest.mark.parametrize("nulls", [False, True])
@given(batches(), st.integers(0, 2**32 - 1))
def test_what_begins_alike_is_read_alike(nulls: bool, batch: ReadingBatch, seed: int) -> None:
    """The second message is read by what was learned from the first, where that can be done."""
    r = np.random.default_rng(seed)
    values = r.normal(size=batch.values.shape)
    values[r.random(values.shape) < 0.2] = np.nan
    other = ReadingBatch(
        batch.asset, batch.position, batch.columns, batch.times_us + 1, values, batch.quality
    )
    options = pa.ipc.IpcWriteOptions()
    decoder, headers = ReadingDecoder(), encode(batch, source="e")[1]
    for one in (batch, other, batch):
        assert same(decoder.decode(foreign(one, options, nulls=nulls), headers), one)


@given(st.integers(0, 200))
def test_a_message_cut_short_behind_a_known_beginning_is_refused(cut: int) -> None:
    decoder = ReadingDecoder()
    decoder.decode(VALUE, HEADERS)
    body = 8 * 3 * 3 + 8
    if cut < 8:
        assert same(decoder.decode(VALUE[: len(VALUE) - cut], HEADERS), samples.batch())
    elif cut <= 8 + body:
        with pytest.raises(DecodeError):
            decoder.decode(VALUE[: len(VALUE) - cut - 8], HEADERS)


def test_columns_that_overlap_are_read_alike_the_second_time() -> None:
    """Found by fuzzing: of the second message only the first row was read."""
    message = (FOLDER / "readings" / "found-columns-that-overlap").read_bytes()
    headers, value = headed(message)
    decoder = ReadingDecoder()
    first = decoder.decode(value, headers)
    assert first.values.shape == (3, 2)
    assert same(decoder.decode(value, headers), first)


def test_what_is_remembered_is_bounded() -> None:
    decoder = ReadingDecoder()
    for number in range(200):
        columns = tuple(Column(f"s{number}-{at}", "1" * 400) for at in range(500))
        batch = ReadingBatch(
            "s/a",
            Position(0),
            columns,
            np.zeros(1, np.int64),
            np.zeros((1, 500)),
            np.zeros((1, 500), np.uint8),
        )
        decoder.decode(*encode(batch, source="e"))
    assert decoder.remembered_bytes <= MAX_KNOWN_BYTES
