"""Rows from single values: every reading is accounted for, the watermark tells the truth."""

from __future__ import annotations

from math import isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.headers import NO_TIME
from contracts.plant.model import Rows, Signal, SignalSet
from contracts.readings import Quality
from edge.core.acks import Acks
from edge.core.payload import Sample
from edge.core.rows import MEMORY_ROWS, Row, RowAssembler

A = "s/a"


def group(width: int = 2, lateness: int = 0, **rows: object) -> SignalSet:
    signals = tuple(Signal(id=f"x{i}", topic=f"t{i}", range=(-100, 100)) for i in range(width))
    rule = Rows.model_validate({"by": "exact", **rows})
    return SignalSet.model_construct(
        rows=rule, lateness=lateness, idle=5_000_000, ahead=60_000_000, signals=signals
    )


def one(assembler: RowAssembler, time_us: int, column: int, value: float, now: int = 0) -> None:
    code = Quality.OUT_OF_RANGE if abs(value) > 100 else Quality.GOOD
    assembler.add(Sample(A, time_us, [(column, value)]), [code], now)


def times(rows: list[Row]) -> list[int]:
    return [row.time_us for row in rows]


def test_a_row_is_ready_when_all_its_values_came() -> None:
    assembler = RowAssembler(group())
    one(assembler, 10, 0, 1.0)
    assert assembler.take_ready() == []
    assert assembler.watermark_us == 10
    one(assembler, 10, 1, 2.0, now=77)
    (row,) = assembler.take_ready()
    assert (row.time_us, row.values, row.quality) == (10, [1.0, 2.0], [0, 0])
    assert (row.readings, row.received_us) == (2, 77)
    assert assembler.watermark_us == 11


def test_a_row_that_waited_longer_than_the_lateness_goes_with_gaps() -> None:
    assembler = RowAssembler(group(lateness=5))
    one(assembler, 10, 0, 1.0)
    one(assembler, 15, 0, 1.0)
    assert assembler.take_ready() == []
    one(assembler, 16, 0, 1.0)
    (row,) = assembler.take_ready()
    assert row.time_us == 10
    assert isnan(row.values[1])
    assert row.quality == [Quality.GOOD, Quality.MISSING]
    assert assembler.watermark_us == 12


def test_a_missing_value_is_held_within_its_time_and_from_good_ones_only() -> None:
    assembler = RowAssembler(group(missing="hold", hold="20us"))
    for time_us, value in ((10, 5.0), (11, 999.0)):
        one(assembler, time_us, 1, value)
    for time_us in (30, 31, 40):
        one(assembler, time_us, 0, 1.0)
    rows = {row.time_us: row for row in assembler.take_ready()}
    assert rows[11].quality[1] == Quality.OUT_OF_RANGE
    assert (rows[30].values[1], rows[30].quality[1]) == (5.0, Quality.HELD)
    assert rows[31].quality[1] == Quality.MISSING


def test_what_cannot_be_believed_is_marked_and_kept() -> None:
    assembler = RowAssembler(group(width=1))
    one(assembler, 1, 0, 101.0)
    (row,) = assembler.take_ready()
    assert (row.values, row.quality) == ([101.0], [Quality.OUT_OF_RANGE])


def test_grid_rounds_within_the_tolerance() -> None:
    assembler = RowAssembler(group(width=1, by="grid", period="100us", tolerance="10us"))
    for time_us in (95, 205, 250, 311, 400):
        one(assembler, time_us, 0, 1.0)
    assert times(assembler.take_ready()) == [100, 200, 400]
    assert assembler.dropped == {"off-grid": 2}


@pytest.mark.parametrize(
    ("value", "reason"), [(1.0, "duplicate"), (2.0, "late-value")], ids=["same", "other"]
)
def test_a_value_for_a_row_that_left_is_dropped(value: float, reason: str) -> None:
    assembler = RowAssembler(group(width=1))
    one(assembler, 1, 0, 1.0)
    assembler.take_ready()
    one(assembler, 1, 0, value)
    assert assembler.take_ready() == []
    assert assembler.dropped == {reason: 1}


def test_the_first_of_two_values_in_one_cell_stays() -> None:
    assembler = RowAssembler(group())
    one(assembler, 1, 0, 1.0)
    one(assembler, 1, 0, 2.0)
    one(assembler, 1, 1, 3.0)
    assert assembler.take_ready()[0].values == [1.0, 3.0]
    assert assembler.dropped == {"second-value": 1}


def test_a_late_row_waits_by_the_clock_of_arrival() -> None:
    assembler = RowAssembler(group(lateness=5), newest_us=100, watermark_us=96)
    one(assembler, 50, 0, 1.0, now=1_000)
    assembler.expire(1_004)
    assert assembler.take_ready() == []
    assembler.expire(1_005)
    assert times(assembler.take_ready()) == [50]
    assert assembler.watermark_us == 96


def test_what_is_older_than_the_memory_is_too_late_and_the_memory_is_bounded() -> None:
    assembler = RowAssembler(group(width=1))
    for time_us in range(10 * MEMORY_ROWS):
        one(assembler, time_us * 10, 0, 1.0)
    assembler.take_ready()
    one(assembler, 15, 0, 1.0)
    assert assembler.dropped == {"too-late": 1}
    one(assembler, 10 * (10 * MEMORY_ROWS - MEMORY_ROWS // 2) + 5, 0, 1.0)
    assembler.expire(10**9)
    assert len(assembler.take_ready()) == 1


def test_a_copy_of_an_unwritten_reading_waits_for_the_row_as_the_first_one_does() -> None:
    acks = Acks(10)
    assembler = RowAssembler(group(width=1))
    first, again = (acks.take_in(1, mid, 1, 0) for mid in (1, 2))
    for receipt in (first, again):
        assembler.add(Sample(A, 1, [(0, 1.0)]), [Quality.GOOD], 0, receipt)
        receipt.release()
    (row,) = assembler.take_ready()
    assert acks.next_ready() is None
    row.mark_written()
    assert (acks.next_ready(), acks.next_ready()) == (first, again)


cells = st.tuples(
    st.integers(0, 400),
    st.integers(0, 2),
    st.sampled_from([0.0, 1.0, 500.0]),
    st.integers(0, 30),
)
rules = st.one_of(
    st.fixed_dictionaries({"by": st.just("exact"), "missing": st.sampled_from(["gap", "hold"])}),
    st.fixed_dictionaries(
        {
            "by": st.just("grid"),
            "period": st.sampled_from(["10us", "7us"]),
            "tolerance": st.sampled_from(["0us", "2us"]),
            "missing": st.sampled_from(["gap", "hold"]),
            "hold": st.just("20us"),
        }
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    readings=st.lists(cells, max_size=60),
    rule=rules,
    lateness=st.sampled_from([0, 5, 50]),
    started=st.sampled_from([NO_TIME, 150]),
    cut=st.integers(1, 9),
)
def test_every_reading_is_in_a_row_held_or_dropped_and_the_watermark_is_true(
    readings: list[tuple[int, int, float, int]],
    rule: dict[str, object],
    lateness: int,
    started: int,
    cut: int,
) -> None:
    mark_us = NO_TIME if started == NO_TIME else started - lateness
    assembler = RowAssembler(group(3, lateness, **rule), newest_us=started, watermark_us=mark_us)
    now, out, announced_us = 0, 0, mark_us
    seen: set[int] = set()
    begun: dict[int, int] = {}
    for number, (time_us, column, value, pause) in enumerate(readings):
        now += pause
        before_us = assembler.watermark_us
        off_grid = assembler.dropped["off-grid"]
        one(assembler, time_us, column, value, now)
        if assembler.dropped["off-grid"] == off_grid:
            begun.setdefault(_place(rule, time_us), before_us)
        if pause > 25:
            assembler.expire(now)
        assert assembler.watermark_us >= before_us
        if number % cut == 0:
            for row in assembler.take_ready():
                # Below what was announced come only rows that were late when they began.
                assert row.time_us >= announced_us or row.time_us < begun[row.time_us]
                assert row.time_us not in seen
                seen.add(row.time_us)
                out += row.readings
                _check_row(row)
            announced_us = assembler.watermark_us
        assert out + assembler.held + sum(assembler.dropped.values()) == assembler.taken_in
    assembler.give_up()
    rest = assembler.take_ready()
    out += sum(row.readings for row in rest)
    assert assembler.pending == 0
    assert seen.isdisjoint(times(rest))
    assert out + sum(assembler.dropped.values()) == assembler.taken_in == len(readings)


def _place(rule: dict[str, object], time_us: int) -> int:
    if rule["by"] == "exact":
        return time_us
    period = int(str(rule["period"]).removesuffix("us"))
    return period * ((time_us + period // 2) // period)


def _check_row(row: Row) -> None:
    kinds = list(zip(row.values, row.quality, strict=True))
    assert all(isnan(value) == (quality == Quality.MISSING) for value, quality in kinds)
    assert all(
        (quality == Quality.OUT_OF_RANGE) == (value == 500.0)
        for value, quality in kinds
        if quality != Quality.MISSING
    )
    measured = sum(quality in (Quality.GOOD, Quality.OUT_OF_RANGE) for _, quality in kinds)
    assert row.readings == measured > 0
