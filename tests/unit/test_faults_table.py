"""The table of faults calls nothing held that did not hold."""

from __future__ import annotations

import numpy as np

from contracts.readings import Column, Position, ReadingBatch, encode
from contracts.record import Record
from tests.faults.books import compare
from tests.faults.follower import Follower
from tests.faults.row import Found, Row

GOOD = {"readings_lost": 0, "readings_doubled": 0, "windows_missing": 0, "windows_wrong": 0}


def test_a_row_holds_only_if_all_of_it_does() -> None:
    assert Row("f", Found("", {"it": True}), GOOD).holds
    assert not Row("f", Found("", {"it": True, "that": False}), GOOD).holds
    assert not Row("f", Found("", {"it": True}), {**GOOD, "readings_lost": 2}).holds
    assert not Row("f", Found("", {"it": True}), GOOD, error="Never: no").holds
    excused = Found("", {}, excused=("windows_missing",))
    assert Row("f", excused, {**GOOD, "windows_missing": 3}).holds
    assert not Row("f", excused, {**GOOD, "windows_wrong": 1}).holds


def test_windows_without_a_row_too_few_or_too_many_show() -> None:
    expected: dict[tuple[str, int], float] = {
        ("a", 0): 1.5,
        ("a", 1): 2.0,
        ("a", 2): 3.0,
        ("a", 3): 4.0,
    }
    decided: dict[tuple[str, str], dict[int, float | None]] = {
        ("a", "mean"): {0: 1.5, 1: 2.01, 2: None}
    }
    assert compare(expected, decided) == (1, 2)


def test_a_row_that_comes_again_is_counted_and_one_that_differs_is_torn() -> None:
    follower = Follower("nowhere:1", "p")
    for value in (1.0, 1.0, 2.0):
        times, values = np.array([5], np.int64), np.array([[value]])
        batch = ReadingBatch(
            "a/b", Position(0, 0, 1, 0, 1), (Column("x"),), times, values, np.zeros((1, 1), "u1")
        )
        content, headers = encode(batch, source="edge/x")
        follower.take("readings", Record("p.readings", 0, 0, b"a/b", content, headers, 0))
    assert (follower.copies, follower.torn) == (2, 1)
    assert follower.rows == {"a/b": {5: 1.0}}
