"""`vigia.readings` and `vigia.aggregates`: a columnar batch of one asset's rows.

The value is an Arrow IPC stream with one record batch: `time` (timestamp, µs, UTC), one float64
column a signal (its unit and clock in the field's metadata) and `quality`, a fixed-size list of
uint8, one code a signal. Nothing in it is compressed, so that it takes no more memory than the
message has bytes; Kafka compresses where that is wanted. What recovery needs stands in the headers,
so that the end of the log can be read without decoding values.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contracts.arrow_metadata import names_a_codec
from contracts.errors import DecodeError
from contracts.headers import NO_TIME, Headers, cloud_event, header_map, int_header

KIND = "vigia.readings.v1"
CONTENT_TYPE = "application/vnd.apache.arrow.stream"
MAX_ROWS = 100_000
MAX_SIGNALS = 1_024
TIME_LIMIT_US = 2**61
"""Event times lie below it, either way: what is added to them stays within 64 bits."""
MAX_KNOWN_BYTES = 32_000_000
_TIME = pa.timestamp("us", tz="UTC")
_KINDS = (np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.uint8))
_FAULTS = (
    pa.ArrowException,
    ValueError,
    TypeError,
    StopIteration,
    EOFError,
    OSError,
    struct.error,
)
_MARKER = b"\xff\xff\xff\xff"
_END = _MARKER + b"\0\0\0\0"
# Long and wide batches are few: what Arrow needs for each is shared by many readings.
_FRAME_ROWS, _FRAME_SIGNALS = 64, 128
_BACKFILL: tuple[Headers, Headers] = ([], [("ce_backfill", b"true")])


class Quality(IntEnum):
    """What is known of one reading. Only GOOD and HELD are measured values. A sensor may be
    OUT_OF_RANGE, STUCK (it stands still where it may not), JUMP further than what it measures can,
    or have a CLOCK that cannot be believed. An image may be FROZEN (the same again and again),
    DARK, OVER_EXPOSED or BLURRED, its camera may have MOVED, or it does not carry what is to be
    measured."""

    GOOD = 0
    MISSING = 1
    HELD = 2
    OUT_OF_RANGE = 3
    FROZEN = 4
    DARK = 5
    NOT_OBSERVABLE = 6
    STUCK = 7
    JUMP = 8
    CLOCK = 9
    OVER_EXPOSED = 10
    BLURRED = 11
    MOVED = 12


@dataclass(frozen=True, slots=True)
class Column:
    """A signal in a batch: its id, UCUM unit, and whether its times are the `source`'s own
    or those of its `arrival` at the edge."""

    signal: str
    unit: str = "1"
    clock: str = "source"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a batch stands in its asset's stream, as the edge wrote it.

    `sequence` counts the asset's batches from 0; of aggregates it is the number of the pane since
    1970, so that a pane made again has the place that it had. Rows with an event time below
    `wm_before_us` came too late for windows that ended by then; `wm_after_us` says what is
    complete with this batch. `max_before_us` is the largest event time of all earlier batches
    (NO_TIME when there is none). `received_us` is when the edge received the newest row, by the
    edge's clock.
    `backfill` says that it came to the log long after that, from the edge's disk.
    """

    sequence: int
    wm_before_us: int = NO_TIME
    wm_after_us: int = NO_TIME
    max_before_us: int = NO_TIME
    received_us: int = 0
    backfill: bool = False

    def after(self, newest_us: int, wm_us: int, received_us: int) -> Position:
        """The position of the batch that follows one whose newest row is at `newest_us`
        (NO_TIME for a heartbeat), when it is written with watermark `wm_us`."""
        return Position(
            self.sequence + 1,
            self.wm_after_us,
            max(self.wm_after_us, wm_us),
            max(self.max_before_us, newest_us),
            received_us,
        )


@dataclass(frozen=True, slots=True)
class ReadingBatch:
    """One message: `times_us` int64 [n], `values` float64 [n, S] (NaN where there is no
    reading), `quality` uint8 [n, S]. n = 0 is a heartbeat. Rows need not be in order."""

    asset: str
    position: Position
    columns: tuple[Column, ...]
    times_us: NDArray[np.int64]
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]

    @property
    def signals(self) -> tuple[str, ...]:
        """The ids of the signals, in column order."""
        return tuple(column.signal for column in self.columns)

    @property
    def newest_us(self) -> int:
        """The largest event time in this batch alone, or NO_TIME."""
        times = self.times_us
        if len(times) == 1:
            # numpy looks for a maximum for longer than all the rest of a message takes.
            return int(times.item())
        return int(times.max()) if len(times) else NO_TIME


def encode(batch: ReadingBatch, *, source: str) -> tuple[bytes, Headers]:
    """The message's value and headers. `source` names the agent, as a CloudEvents source."""
    times = batch.times_us
    # numpy looks for a maximum for longer than all the rest takes.
    newest_us = times.item() if len(times) == 1 else batch.newest_us
    return encode_rows(batch), encode_position(batch.asset, batch.position, newest_us, source)


def encode_rows(batch: ReadingBatch) -> bytes:
    """The message's value alone."""
    value = _assembled(batch) if len(batch.times_us) <= _FRAME_ROWS else None
    return value or _written(batch)


def _written(batch: ReadingBatch) -> bytes:
    """The value as Arrow writes it."""
    arrays: list[Any] = [pa.array(batch.times_us, type=_TIME)]
    for index in range(len(batch.columns)):
        arrays.append(pa.array(np.ascontiguousarray(batch.values[:, index])))
    flat = pa.array(np.ascontiguousarray(batch.quality).reshape(-1))
    arrays.append(pa.FixedSizeListArray.from_arrays(flat, len(batch.columns)))
    schema = _schema(batch.columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    value: bytes = sink.getvalue().to_pybytes()
    return value


def _assembled(batch: ReadingBatch) -> bytes | None:
    """The same bytes, put together without Arrow; None where it must write them."""
    values, quality = batch.values, batch.quality
    count, width = values.shape
    kinds = batch.times_us.dtype, values.dtype, quality.dtype
    if kinds != _KINDS or quality.shape != values.shape or len(batch.times_us) != count:
        return None
    head = _frame(batch.columns, count)
    if head is None or width != len(batch.columns):
        return None
    columns = values.tobytes() if count == 1 else values.T.tobytes()
    padding = bytes(-quality.size % 8)
    return b"".join((head, batch.times_us.tobytes(), columns, quality.tobytes(), padding, _END))


@lru_cache(maxsize=512)
def _frame(columns: tuple[Column, ...], count: int) -> bytes | None:
    """What Arrow writes before the body of `count` rows, which is the same for all of them: the
    schema and where each buffer lies. None unless the body is just the columns one by one."""
    width = len(columns)
    if width > _FRAME_SIGNALS:
        return None
    times = np.arange(1, count + 1, dtype=np.int64) << 40
    values = np.arange(1, count * width + 1, dtype=np.float64).reshape(count, width)
    quality = (np.arange(count * width) % 251 + 1).astype(np.uint8).reshape(count, width)
    probe = ReadingBatch("", Position(0), columns, times, values, quality)
    padding = bytes(-quality.size % 8)
    body = times.tobytes() + values.T.tobytes() + quality.tobytes() + padding + _END
    written = _written(probe)
    return written.removesuffix(body) if written.endswith(body) else None


@lru_cache(maxsize=1024)
def _schema(columns: tuple[Column, ...]) -> pa.Schema:
    # Half the time of encoding a short batch, and the same for all batches of an asset.
    signals = [
        pa.field(c.signal, pa.float64(), metadata={"unit": c.unit, "clock": c.clock})
        for c in columns
    ]
    quality = pa.field("quality", pa.list_(pa.uint8(), len(columns)))
    return pa.schema([pa.field("time", _TIME), *signals, quality])


def encode_position(asset: str, position: Position, newest_us: int, source: str) -> Headers:
    """The headers alone, of a batch whose largest event time is `newest_us`."""
    before, subject, after = _constant_headers(asset, source)
    number, received = position.sequence, b"%d" % position.received_us
    return [
        *before,
        ("ce_id", b"%b:%d:%b" % (subject[1], number, received)),
        subject,
        ("ce_sequence", b"%d" % number),
        ("ce_wmbefore", b"%d" % position.wm_before_us),
        ("ce_wmafter", b"%d" % position.wm_after_us),
        ("ce_maxbefore", b"%d" % position.max_before_us),
        ("ce_newest", b"%d" % newest_us),
        ("ce_received", received),
        *_BACKFILL[position.backfill],
        after,
    ]


@lru_cache(maxsize=4096)
def _constant_headers(
    asset: str, source: str
) -> tuple[Headers, tuple[str, bytes], tuple[str, bytes]]:
    """Those that all batches of an asset share: before the id, the subject, and the last."""
    *before, _, subject, last = cloud_event(
        KIND, source=source, id="", content_type=CONTENT_TYPE, subject=asset
    )
    return before, subject, last


def position_of(headers: dict[str, bytes]) -> Position:
    """The batch's position, from its headers alone. Raises FieldError."""
    return Position(
        sequence=int_header(headers, "ce_sequence"),
        wm_before_us=int_header(headers, "ce_wmbefore"),
        wm_after_us=int_header(headers, "ce_wmafter"),
        max_before_us=int_header(headers, "ce_maxbefore"),
        received_us=int_header(headers, "ce_received"),
        backfill=headers.get("ce_backfill") == b"true",
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the numbers of a message lie: the same in all messages that begin alike, up to the
    end of the record batch's metadata. `values` is the first column's place, `stride` the bytes
    from one column to the next, `end` the first byte after all of them."""

    columns: tuple[Column, ...]
    rows: int
    times: int
    values: int
    stride: int
    quality: int
    end: int

    def read(self, value: bytes) -> tuple[Any, Any, Any]:
        """Times, values and quality of a message, not copied."""
        rows, width, each = self.rows, len(self.columns), self.stride // 8
        times = np.frombuffer(value, np.int64, rows, self.times)
        columns = np.frombuffer(value, np.float64, width * each, self.values)
        quality = np.frombuffer(value, np.uint8, rows * width, self.quality)
        return times, columns.reshape(width, each).T[:rows], quality.reshape(rows, width)


@dataclass(slots=True)
class ReadingDecoder:
    """Decodes batches; remembers how messages that begin alike are laid out, since an asset's
    batches do so again and again: what Arrow has checked once is not checked by it again.

    Raises DecodeError or FieldError, never anything else, whatever the bytes are.
    """

    _known: dict[bytes, _Layout | None] = field(default_factory=dict)
    remembered_bytes: int = 0

    def decode(self, value: bytes | None, headers: list[tuple[str, bytes]] | None) -> ReadingBatch:
        """The batch in one message."""
        named = header_map(headers)
        kind = named.get("ce_type", b"")
        if kind != KIND.encode():
            raise DecodeError(f"expected {KIND}, got {kind[:60]!r}", reason="schema")
        asset = named.get("ce_subject", b"").decode(errors="replace")
        position = position_of(named)
        return self._batch(asset, position, value or b"")

    def _batch(self, asset: str, position: Position, value: bytes) -> ReadingBatch:
        start = _after(value, 0)
        key = value[: _after(value, start)]
        layout = self._known.get(key)
        if layout is None or len(value) < layout.end:
            columns, batch = _checked(value, start)
            numbers = _numbers(batch, len(columns))
            if key not in self._known:
                self._remember(key, _layout(value, columns, batch))
        else:
            columns, numbers = layout.columns, layout.read(value)
        times = numbers[0]
        if len(times) and not -TIME_LIMIT_US < times.min() <= times.max() < TIME_LIMIT_US:
            raise DecodeError("an event time that no clock shows", reason="time")
        return ReadingBatch(asset, position, columns, *numbers)

    def _remember(self, key: bytes, layout: _Layout | None) -> None:
        self.remembered_bytes += len(key)
        if self.remembered_bytes > MAX_KNOWN_BYTES:
            self._known.clear()
            self.remembered_bytes = len(key)
        self._known[key] = layout


def _after(value: bytes, start: int) -> int:
    """Where the metadata of the Arrow message at `start` ends: its length stands behind a marker
    of four bytes."""
    return start + 8 + int.from_bytes(value[start + 4 : start + 8], "little")


def _checked(value: bytes, start: int) -> tuple[tuple[Column, ...], Any]:
    """The columns and the record batch, read and checked by Arrow."""
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(value[:start]))
        columns = _parse_columns(schema)
        if value[start : start + 4] != _MARKER:
            raise DecodeError("a batch of an older format")
        if names_a_codec(value[start + 8 : _after(value, start)]):
            raise DecodeError("a compressed batch")
        batch = pa.ipc.read_record_batch(pa.py_buffer(value).slice(start), schema)
        if batch.num_rows > MAX_ROWS:
            raise DecodeError(f"{batch.num_rows} rows, more than {MAX_ROWS}")
        # Buffers that point outside the message are found here, before they are read.
        batch.validate(full=True)
    except _FAULTS as error:
        raise DecodeError(f"not a reading batch: {error}") from error
    return columns, batch


def _numbers(batch: Any, width: int) -> tuple[Any, Any, Any]:
    """Times, values (NaN for null) and quality, copied where they must be."""
    try:
        times = batch.column(0).view(pa.int64()).to_numpy()
        values = np.empty((batch.num_rows, width), np.float64)
        for index in range(width):
            values[:, index] = batch.column(index + 1).to_numpy(zero_copy_only=False)
        quality = batch.column(width + 1).values.to_numpy().reshape(values.shape)
    except (pa.ArrowException, ValueError) as error:
        raise DecodeError(f"not a reading batch: {error}") from error
    return times, values, quality


def _layout(value: bytes, columns: tuple[Column, ...], batch: Any) -> _Layout | None:
    """How `value` is laid out; None where its numbers cannot be read as they lie: nulls,
    compression, another byte order, no rows."""
    if not batch.num_rows:
        return None
    arrays = [*batch.columns, batch.columns[-1].values]
    if any(array.null_count or array.offset for array in arrays):
        return None
    base = pa.py_buffer(value).address
    at = [array.buffers()[-1].address - base for array in arrays]
    times, values, quality = at[0], at[1:-2], at[-1]
    width, rows = len(columns), batch.num_rows
    stride = values[1] - values[0] if width > 1 else 8 * rows
    even = all(b - a == stride for a, b in itertools.pairwise(values))
    end = max(times + 8 * rows, values[0] + width * stride, quality + rows * width)
    inside = min(at[0], values[0], quality) >= 0 and end <= len(value)
    if not (even and inside and stride >= 8 * rows and stride % 8 == 0):
        return None
    return _Layout(columns, rows, times, values[0], stride, quality, end)


def _parse_columns(schema: pa.Schema) -> tuple[Column, ...]:
    fields = list(schema)
    if len(fields) < 3 or len(fields) > MAX_SIGNALS + 2:
        raise DecodeError(f"{len(fields)} columns: expected time, 1 to {MAX_SIGNALS}, quality")
    if (fields[0].name, fields[0].type) != ("time", _TIME):
        raise DecodeError(f"expected column time of type {_TIME}, got {fields[0]}")
    width = len(fields) - 2
    last = fields[-1]
    if (last.name, last.type) != ("quality", pa.list_(pa.uint8(), width)):
        raise DecodeError(f"expected column quality of {width} uint8, got {last}")
    columns = []
    for one in fields[1:-1]:
        if one.type != pa.float64():
            raise DecodeError(f"column {one.name}: expected double, got {one.type}")
        meta = {k.decode(): v.decode() for k, v in (one.metadata or {}).items()}
        columns.append(Column(one.name, meta.get("unit", "1"), meta.get("clock", "source")))
    return tuple(columns)
