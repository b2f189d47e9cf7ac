"""When a process looks through its memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from broker.heap import Tidy, settle


class _Ring:
    def __init__(self) -> None:
        self.self = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    gc.collect()


def test_what_is_there_is_not_looked_through_again_and_rings_go_at_the_tenth_turn() -> None:
    settle()
    assert gc.get_freeze_count() > 0
    ring = weakref.ref(_Ring())
    gc.collect(1)
    old = _Ring()
    gone = weakref.ref(old)
    gc.collect(1)
    del old
    for _ in range(200):
        [[] for _ in range(1_000)]
    assert ring() is None, "young rings go by themselves"
    assert gone() is not None, "Python made a full collection"
    tidy = Tidy()
    for _ in range(10):
        tidy.turn()
    assert gone() is None
