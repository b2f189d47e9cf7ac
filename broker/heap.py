"""The memory of this process: when it is looked through, and when it goes back to the system."""

from __future__ import annotations

import ctypes
import gc
from dataclasses import dataclass
from functools import cache
from typing import Any

_NEVER = 1_000_000
_COLLECT_EVERY = 10


def settle() -> None:
    """What there is by now stays, and is not looked through again. From here on Python makes no
    full collection by itself: it would look at all rows that an edge remembers, which takes 280 ms
    of 500 assets, and every two seconds or so. See Tidy."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)


@dataclass(slots=True)
class Tidy:
    """What is done every minute, in a thread."""

    _turns: int = 0

    def turn(self) -> None:
        """Returns to the system what is free. By itself the C library keeps what a burst took (all
        that came while Kafka was away), in each thread's part of the heap; it takes some
        milliseconds, and does nothing where the C library is not glibc. Every tenth time what
        refers to itself in circles is freed before."""
        self._turns += 1
        if self._turns % _COLLECT_EVERY == 0:
            gc.collect()
        if trim := _malloc_trim():
            trim(0)


@cache
def _malloc_trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
