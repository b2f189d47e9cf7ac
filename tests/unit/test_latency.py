"""Durations in buckets: one by one or many at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broker.status import BOUNDS_S, Latency


@given(st.lists(st.one_of(st.sampled_from(BOUNDS_S), st.floats(-1, 100)), max_size=30))
def test_many_at_once_count_as_one_by_one(seconds: list[float]) -> None:
    one, many = Latency(), Latency()
    for duration in seconds:
        one.observe(duration)
    many.observe_all(np.array(seconds, float))
    a, b = one.histogram(), many.histogram()
    assert (a.counts, a.count) == (b.counts, b.count)
    assert abs(a.sum_s - b.sum_s) < 1e-9
