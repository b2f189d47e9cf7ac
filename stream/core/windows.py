"""Windows of rows in event time: which there are, and what a closed one holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.readings import Quality

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """Windows [k·hop, k·hop + width), k a whole number, that wait `lateness` past their end; all
    in microseconds, 0 < hop <= width."""

    width_us: int
    hop_us: int
    lateness_us: int = 0

    def first_open(self, watermark_us: I64) -> I64:
        """The first window that each watermark leaves open."""
        return (watermark_us - self.width_us - self.lateness_us) // self.hop_us + 1

    def first_of(self, times_us: I64) -> I64:
        """The first window of each time."""
        return (times_us - self.width_us) // self.hop_us + 1

    def last_of(self, times_us: I64) -> I64:
        """The last window of each time."""
        return times_us // self.hop_us


@dataclass(frozen=True, slots=True)
class WindowBlock:
    """Closed windows, those of an asset in order. `assets` has the asset of each of the n
    windows; `starts_us` and `received_us` are int64 [n]; `backfill` bool [n] says which of them
    could be decided only long after their rows were received;
    `present` bool [n, T] says which of the padded T rows are there; `times_us` int64 [n, T],
    `values` float64 [n, T, S] and `quality` uint8 [n, T, S] hold them in order of time
    (0, NaN and MISSING where no row is)."""

    assets: tuple[str, ...]
    signals: tuple[str, ...]
    width_us: int
    starts_us: I64
    received_us: I64
    backfill: NDArray[np.bool_]
    present: NDArray[np.bool_]
    times_us: I64
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.starts_us)

    @property
    def ends_us(self) -> I64:
        """The first microsecond after each window."""
        return self.starts_us + self.width_us

    def of(self, where: NDArray[np.bool_]) -> WindowBlock:
        """These windows of the block."""
        return WindowBlock(
            tuple(asset for asset, wanted in zip(self.assets, where, strict=True) if wanted),
            self.signals,
            self.width_us,
            self.starts_us[where],
            self.received_us[where],
            self.backfill[where],
            self.present[where],
            self.times_us[where],
            self.values[where],
            self.quality[where],
        )


def blank(block: WindowBlock) -> WindowBlock:
    """`block`, with what its arrays hold where no row is made as WindowBlock says, in place."""
    if not block.present.all():
        absent = ~block.present
        block.times_us[absent] = 0
        block.values[absent] = np.nan
        block.quality[absent] = Quality.MISSING
    return block
