"""How a step is cut: what is ready is scored beside the rest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contracts.record import Record
from stream.adapters.detect_agent import PART_BYTES, parts


@given(st.lists(st.integers(0, PART_BYTES), max_size=30))
def test_parts_are_all_records_in_order_and_bounded(sizes: list[int]) -> None:
    records = [Record("t", 0, at, None, b"x" * size, [], 0) for at, size in enumerate(sizes)]
    found = list(parts(records))
    assert [record for part in found for record in part] == records
    assert all(part for part in found)
    for part in found:
        assert sum(len(record.value or b"") for record in part[:-1]) < PART_BYTES
