"""A bound on what a worker takes: a native library that keeps a little of each call has no end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from contracts.errors import MemoryExceeded

LOOK_S = 1.0


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(psutil.Process().memory_info().rss)


@dataclass(slots=True)
class MemoryBound:
    """`limit_bytes` of resident memory; another plant file may change it."""

    limit_bytes: int
    resident: Callable[[], int] = resident_bytes
    look_s: float = LOOK_S

    async def watch(self) -> None:
        """Looks for ever. Raises MemoryExceeded once the process is larger."""
        while (now := self.resident()) <= self.limit_bytes:
            await asyncio.sleep(self.look_s)
        raise MemoryExceeded(
            f"{now / 1e6:.0f} MB of memory are more than stream.memory_bytes allows "
            f"({self.limit_bytes / 1e6:.0f} MB): this worker ends, and another goes on"
        )
