"""The memory that C libraries hold for this process."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


def give_back() -> None:
    """Returns to the system what is free. By itself the C library keeps what a burst took (all that
    came while Kafka was away), in each thread's part of the heap. Takes some milliseconds; does
    nothing where the C library is not glibc."""
    if trim := _malloc_trim():
        trim(0)


@cache
def _malloc_trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
