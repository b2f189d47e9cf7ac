"""Rows of many assets in one memory, against a plain dictionary of lists; and the arithmetic on
runs, against loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.rowstore import Rows, RowStore
from stream.core.segments import coming_minimum, expand, heads, running_maximum, sums

ASSETS = 5
RUNS = st.lists(st.lists(st.integers(-(2**62), 2**62), max_size=6), max_size=6)


def rows(found: list[tuple[int, int, int]]) -> Rows:
    """Rows of (slot, time, value); `first` is the value too."""
    slots, times, values = (np.array(column, np.int64) for column in zip(*found, strict=True))
    numbers = values.astype(float)[:, None]
    return Rows(slots, times, values, numbers, numbers.astype(np.uint8))


def held(store: RowStore) -> list[tuple[int, int, int]]:
    found = store.of(np.arange(ASSETS))
    values, quality = store.gather(store.keys(np.arange(ASSETS))[0])
    assert (values[:, 0] == found.first).all()
    assert (quality[:, 0] == found.first).all()
    return list(zip(found.slots.tolist(), found.times.tolist(), found.first.tolist(), strict=True))


@given(st.integers(0, 10**6), st.integers(1, 60))
@settings(max_examples=300, deadline=None)
def test_like_a_dictionary_of_lists(seed: int, turns: int) -> None:
    r = np.random.default_rng(seed)
    store, plain = RowStore(1, ASSETS), {slot: dict[int, int]() for slot in range(ASSETS)}
    for _ in range(turns):
        count = int(r.choice((1, 3, 40)))
        slots = np.sort(r.integers(0, ASSETS, count)).tolist()
        new = [(slot, int(r.integers(0, 300)), int(r.integers(0, 255))) for slot in slots]
        repeated = []
        for slot, time, value in new:
            if time in plain[slot]:
                repeated.append(slot)
            plain[slot].setdefault(time, value)
        assert sorted(store.add(rows(new)).tolist()) == sorted(repeated)
        gone = np.array([int(r.integers(0, len(known) + 1)) for known in plain.values()])
        gone = np.where(r.random(ASSETS) < 0.3, gone, 0)
        store.release(np.arange(ASSETS), gone)
        for slot, number in enumerate(gone.tolist()):
            for time in sorted(plain[slot])[:number]:
                del plain[slot][time]
        expected = [(s, t, v) for s, known in plain.items() for t, v in sorted(known.items())]
        assert held(store) == expected
        assert store.count.tolist() == [len(known) for known in plain.values()]


def test_memory_does_not_grow_with_what_has_gone() -> None:
    store = RowStore(1, ASSETS)
    for time in range(20_000):
        store.add(rows([(time % ASSETS, time, 1)]))
        if time >= 50:
            store.release(np.array([time % ASSETS]), np.array([1]))
    assert store.capacity < 1_000


@given(RUNS)
def test_runs_like_loops(runs: list[list[int]]) -> None:
    counts = np.array([len(run) for run in runs], np.int64)
    flat = np.array([value for run in runs for value in run], np.int64)
    starts = np.zeros(len(flat), bool)
    starts[(np.cumsum(counts) - counts)[counts > 0]] = True
    highest = [max(run[: at + 1]) for run in runs for at in range(len(run))]
    lowest = [min(run[at:]) for run in runs for at in range(len(run))]
    assert running_maximum(flat, starts).tolist() == highest
    assert coming_minimum(flat, starts).tolist() == lowest
    small = flat % 1000
    expected = [sum(value % 1000 for value in run) for run in runs]
    assert sums(small, counts).tolist() == expected
    labels = np.repeat(np.arange(len(runs)), counts)
    assert (heads(labels) == starts).all()


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=8))
def test_expand_like_ranges(ranges: list[tuple[int, int]]) -> None:
    starts = np.array([start for start, _ in ranges], np.int64)
    counts = np.array([count for _, count in ranges], np.int64)
    expected = [at for start, count in ranges for at in range(start, start + count)]
    assert expand(starts, counts).tolist() == expected
