"""The encoder of reading batches: byte for byte what Arrow's own writer and `cloud_event` give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from contracts.headers import NO_TIME, Headers, cloud_event
from contracts.readings import CONTENT_TYPE, KIND, Column, Position, ReadingBatch, encode

TIME = pa.timestamp("us", tz="UTC")
WIDTHS = (1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 33, 64, 127, 128, 129, 300)
COUNTS = (0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 100)
UNITS = ("1", "m3/h", "Cel", "", "°C — ñandú")


def columns_of(width: int) -> tuple[Column, ...]:
    return tuple(
        Column(f"s{i}" + "x" * (i % 9), UNITS[i % len(UNITS)], ("source", "arrival")[i % 2])
        for i in range(width)
    )


def batch_of(width: int, count: int, seed: int = 0) -> ReadingBatch:
    r = np.random.default_rng((seed, width, count))
    values = r.normal(0, 1e3, (count, width))
    values[r.random(values.shape) < 0.2] = np.nan
    values[r.random(values.shape) < 0.1] = -np.inf
    return ReadingBatch(
        "north/line-1",
        Position(seed, NO_TIME, 5 - seed, -7, 1_700_000_000_000_000 + seed),
        columns_of(width),
        r.integers(-(2**60), 2**60, count),
        values,
        r.integers(0, 256, (count, width)).astype(np.uint8),
    )


def arrow_value(batch: ReadingBatch) -> bytes:
    """The value as pyarrow writes it, without anything remembered."""
    fields = [pa.field("time", TIME)]
    arrays: list[Any] = [pa.array(batch.times_us, type=TIME)]
    for index, column in enumerate(batch.columns):
        metadata = {"unit": column.unit, "clock": column.clock}
        fields.append(pa.field(column.signal, pa.float64(), metadata=metadata))
        arrays.append(pa.array(np.ascontiguousarray(batch.values[:, index])))
    width = len(batch.columns)
    flat = pa.array(np.ascontiguousarray(batch.quality).reshape(-1))
    arrays.append(pa.FixedSizeListArray.from_arrays(flat, width))
    schema = pa.schema([*fields, pa.field("quality", pa.list_(pa.uint8(), width))])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    value: bytes = sink.getvalue().to_pybytes()
    return value


def event_headers(batch: ReadingBatch, source: str) -> Headers:
    position = batch.position
    return cloud_event(
        KIND,
        source=source,
        id=f"{batch.asset}:{position.sequence}:{position.received_us}",
        content_type=CONTENT_TYPE,
        subject=batch.asset,
        extensions={
            "sequence": position.sequence,
            "wmbefore": position.wm_before_us,
            "wmafter": position.wm_after_us,
            "maxbefore": position.max_before_us,
            "newest": batch.newest_us,
            "received": position.received_us,
        },
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_the_value_is_what_arrow_writes(width: int) -> None:
    for count in COUNTS:
        for seed in range(2):
            batch = batch_of(width, count, seed)
            assert encode(batch, source="edge/a")[0] == arrow_value(batch), (width, count, seed)


def test_every_short_batch_of_a_few_signals_is_what_arrow_writes() -> None:
    for width in (1, 2, 3, 4, 5, 6, 7, 8):
        for count in range(67):
            batch = batch_of(width, count)
            assert encode(batch, source="edge/a")[0] == arrow_value(batch), (width, count)


@pytest.mark.parametrize("count", (1, 3, 64))
def test_arrays_that_lie_otherwise_in_memory_are_the_same_values(count: int) -> None:
    batch = batch_of(5, count)
    other = ReadingBatch(
        batch.asset,
        batch.position,
        batch.columns,
        np.repeat(batch.times_us, 2)[::2],
        np.asfortranarray(batch.values),
        np.repeat(batch.quality, 2, axis=1)[:, ::2],
    )
    assert encode(other, source="edge/a") == encode(batch, source="edge/a")


@pytest.mark.parametrize("kind", (np.float32, np.int64))
def test_values_of_another_kind_are_left_to_arrow(kind: type[Any]) -> None:
    batch = batch_of(2, 1)
    other = ReadingBatch(
        batch.asset,
        batch.position,
        batch.columns,
        batch.times_us,
        np.array([[3, 4]], kind),
        batch.quality,
    )
    assert encode(other, source="edge/a")[0] == arrow_value(other)


@pytest.mark.parametrize("shape", ((1, 1), (2, 2)))
def test_arrays_that_do_not_fit_are_not_encoded(shape: tuple[int, int]) -> None:
    times = np.zeros(1, np.int64)
    quality = np.zeros(shape, np.uint8)
    batch = ReadingBatch("s/a", Position(0), columns_of(2), times, np.zeros((shape[0], 2)), quality)
    with pytest.raises((pa.ArrowException, ValueError)):
        encode(batch, source="edge/a")


@pytest.mark.parametrize("count", (0, 1, 70))
def test_the_headers_are_those_of_a_cloud_event(count: int) -> None:
    for seed, source in enumerate(("edge/a", "edge/ñ")):
        batch = batch_of(3, count, seed)
        assert encode(batch, source=source)[1] == event_headers(batch, source)
