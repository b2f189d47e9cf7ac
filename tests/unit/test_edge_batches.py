"""Batches: their positions chain, one is under way at a time, and they are bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.headers import NO_TIME
from contracts.plant.model import Signal, SignalSet, sensor_columns
from contracts.readings import Position, Quality, ReadingBatch, ReadingDecoder, encode
from edge.core.batches import MAX_ROWS, MIN_GAP_US, Outbox, Place
from edge.core.rows import Row

GROUP = SignalSet(
    signals=(Signal(id="x", topic="x", unit="kPa", time="/t"), Signal(id="y", topic="y"))
)
COLUMNS = sensor_columns(GROUP)


def row(time_us: int, received_us: int = 0) -> Row:
    return Row(time_us, [1.0, 2.0], [0, 0], readings=2, received_us=received_us)


def test_columns_say_unit_and_clock() -> None:
    assert [(c.signal, c.unit, c.clock) for c in COLUMNS] == [
        ("x", "kPa", "source"),
        ("y", "1", "arrival"),
    ]


def test_the_first_batch_of_an_asset() -> None:
    outbox = Outbox("s/a", COLUMNS)
    outbox.put([row(5, 55), row(3, 99)])
    batch = outbox.take(4, now_us=100).batch
    assert batch.position == Position(0, NO_TIME, 4, NO_TIME, 55)
    assert batch.times_us.tolist() == [3, 5]
    again = ReadingDecoder().decode(*encode(batch, source="edge/x"))
    assert again.position == batch.position
    assert np.array_equal(again.values, batch.values)


def test_after_a_restart_the_chain_goes_on() -> None:
    place = Place(Position(41, 10, 20, 30, 1), newest_us=35)
    outbox = Outbox("s/a", COLUMNS, place)
    outbox.put([row(36)])
    assert outbox.take(15, now_us=0).batch.position == Position(42, 20, 20, 35, 0)


def test_one_batch_is_under_way_and_rows_gather_behind_it() -> None:
    outbox = Outbox("s/a", COLUMNS)
    outbox.put([row(1)])
    outbox.take(1, now_us=1_000_000)
    outbox.put([row(2)])
    assert outbox.due_us() is None
    assert outbox.held == 4
    parcel = outbox.written()
    assert [one.written for one in parcel.rows] == [True]
    assert outbox.due_us() == 1_000_000 + MIN_GAP_US
    assert outbox.held == 2


def test_a_full_batch_is_due_at_once_and_says_no_more_than_it_has() -> None:
    outbox = Outbox("s/a", COLUMNS)
    outbox.put([row(time_us) for time_us in range(MAX_ROWS + 10)])
    assert outbox.due_us() == NO_TIME
    first = outbox.take(10_000, now_us=0).batch
    assert len(first.times_us) == MAX_ROWS
    assert first.position.wm_after_us == MAX_ROWS
    outbox.written()
    assert outbox.take(10_000, now_us=0).batch.position.wm_after_us == 10_000


def test_many_signals_make_short_batches() -> None:
    wide = SignalSet(signals=tuple(Signal(id=f"x{i}", topic="x") for i in range(1024)))
    outbox = Outbox("s/a", sensor_columns(wide))
    outbox.put([Row(t, [1.0] * 1024, [0] * 1024) for t in range(MAX_ROWS)])
    value, _ = encode(outbox.take(0, now_us=0).batch, source="edge/x")
    assert len(value) < 1_000_000


@pytest.mark.parametrize("time_us", [7, None], ids=["one row", "no row"])
def test_a_heartbeat(time_us: int | None) -> None:
    outbox = Outbox("s/a", COLUMNS, Place(Position(3, 0, 5, 2, 1), newest_us=6))
    batch = outbox.heartbeat(time_us, 8, now_us=50).batch
    assert batch.position == Position(4, 5, 8, 6, 50)
    assert batch.times_us.tolist() == ([] if time_us is None else [7])
    assert np.isnan(batch.values).all()
    assert (batch.quality == Quality.MISSING).all()
    outbox.written()
    assert outbox.place == Place(batch.position, 6 if time_us is None else 7)


def test_a_clock_that_was_set_back_delays_no_batch() -> None:
    outbox = Outbox("s/a", COLUMNS)
    outbox.put([row(1)])
    outbox.take(1, now_us=9_000_000)
    outbox.put([row(2)])
    outbox.written()
    outbox.step(-8_000_000)
    assert outbox.due_us() == 1_000_000 + MIN_GAP_US


def test_nothing_under_way_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="nothing is under way"):
        Outbox("s/a", COLUMNS).written()


steps = st.lists(st.tuples(st.lists(st.integers(0, 50), max_size=5), st.integers(0, 60)))


@given(steps=steps)
def test_positions_chain_whatever_comes(steps: list[tuple[list[int], int]]) -> None:
    outbox, batches, mark_us = Outbox("s/a", COLUMNS), list[ReadingBatch](), NO_TIME
    for times, wm_us in steps:
        mark_us = max(mark_us, wm_us)
        outbox.put([row(time_us) for time_us in times])
        if outbox.due_us() is not None:
            batches.append(outbox.take(mark_us, now_us=0).batch)
            outbox.written()
    newest = NO_TIME
    for number, batch in enumerate(batches):
        position = batch.position
        assert position.sequence == number
        assert position.max_before_us == newest
        assert position.wm_after_us >= position.wm_before_us
        if number:
            assert position.wm_before_us == batches[number - 1].position.wm_after_us
        newest = max(newest, batch.newest_us)
