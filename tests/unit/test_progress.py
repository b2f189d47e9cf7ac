"""Who reads on, and who only lives."""

from __future__ import annotations

from stream.core.progress import Place, Progress

A, B = Place("readings", 0), Place("readings", 1)


def test_who_stands_still_before_something_to_read_is_stalled() -> None:
    progress = Progress(30)
    assert progress.judge({A: 5, B: 7}, {A: 9, B: 7}, 0) == []
    assert progress.judge({A: 5, B: 7}, {A: 12, B: 7}, 30) == []
    assert progress.judge({A: 5, B: 7}, {A: 12, B: 7}, 31) == [A]


def test_every_step_counts_however_small() -> None:
    progress = Progress(30)
    for second in range(0, 300, 10):
        assert progress.judge({A: second // 20}, {A: 1_000}, second) == []


def test_who_has_read_all_is_well_and_its_time_begins_with_the_next() -> None:
    progress = Progress(30)
    progress.judge({A: 5}, {A: 5}, 0)
    assert progress.judge({A: 5}, {A: 6}, 100) == []
    assert progress.judge({A: 5}, {A: 6}, 131) == [A]


def test_a_rebalance_and_a_broker_that_is_away_begin_anew() -> None:
    for positions, ends in (({}, {A: 9}), ({A: 5}, {})):
        progress = Progress(30)
        progress.judge({A: 5}, {A: 9}, 0)
        assert progress.judge(positions, ends, 40) == []
        assert progress.judge({A: 5}, {A: 9}, 41) == []
        assert progress.judge({A: 5}, {A: 9}, 72) == [A]
