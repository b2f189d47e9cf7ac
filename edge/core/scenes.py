"""Whether a camera's image still lives: a frozen one repeats itself, a dark or an over-exposed one
shows nothing.

All are judged by blocks of pixels, since many cameras write a running clock into an image that is
frozen or black.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contracts.headers import NO_TIME

View = Literal["good", "frozen", "dark", "over-exposed", "blurred", "moved"]
BLOCKS = 16
BLOCK_PIXELS = 16
FROZEN_US = 5_000_000
FROZEN_SHARE = 0.93
REACH_US = 6_000_000
"""Longer than the time between two whole images of most cameras."""
SAME_SHARE = 0.04
_PARTS = 3
_MOST_PAST = 128
_PLAIN = 1.0
_LEAST_BLOCKS = 8
_PAIR_US, _PAIR_SPREAD_US = 240_000, 320_000
_GOLDEN = 0.618034
_STAYS = 0.75
_MOST_PAIRS, _LEAST_PAIRS = 64, 3
_EQUAL = 0.02
# The rows of blocks at the upper and lower edge, where clocks are written.
_EDGE = BLOCKS // 8
DARK_8, DARK_16 = 24, 32
DARK_SPREAD = 8.0
DARK_SHARE = 0.88
GLARE_8, GLARE_16 = 250, 65_000
GLARE_SPREAD = 4.0
GLARE_SHARE = 0.7


class Stillness:
    """Whether an image repeats itself.

    An encoder that gets the same image again sends nothing for most blocks, so that they are
    decoded to equal pixels, but for the frame now and then that it sends whole. So an image that
    is frozen has, in half of the pairs of frames that follow each other at once, over FROZEN_US,
    FROZEN_SHARE of its blocks equal; one that was frozen is as long as a quarter of them has.
    A camera that lives has that too where the view is still and the coding too coarse for the
    noise of its sensor; but when it then sends a whole image, that is another one. So of the frames
    up to REACH_US ago, those of every part of that time, some must have at least SAME_SHARE of the
    blocks that have structure in common with the newest one.
    Pairs are taken at uneven times: at even ones, most of them might have the whole images in them.
    `frozen` is the answer as of the last frame that was shown; it may be read by another thread.
    """

    def __init__(self) -> None:
        self.frozen = False
        self._first: NDArray[np.float32] | None = None
        self._at_us = NO_TIME
        self._pause_us = _PAIR_US
        self._taken = 0
        self._pairs: deque[tuple[int, float]] = deque(maxlen=_MOST_PAIRS)
        self._past: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=_MOST_PAST)

    def wants(self, time_us: int) -> bool:
        """Whether this frame is to be shown: every frame must be asked for."""
        return self._first is not None or not 0 <= time_us - self._at_us < self._pause_us

    def show(self, luminance: NDArray[Any], time_us: int) -> None:
        """Looks at a frame, [rows, columns] or [rows, columns, channels]."""
        blocks = _blocks(luminance)
        first, before_us = self._first, self._at_us
        self._first, self._at_us = blocks, time_us
        if first is None or blocks is None or first.shape != blocks.shape:
            return
        equal = np.abs(first - blocks).mean(axis=2)[_EDGE:-_EDGE] < _EQUAL
        self._pairs.append((time_us, float(equal.mean())))
        self._taken += 1
        self._pause_us = _PAIR_US + int(self._taken * _GOLDEN % 1 * _PAIR_SPREAD_US)
        if time_us - before_us < self._pause_us:
            self._first = None
        while len(self._pairs) > _LEAST_PAIRS and self._pairs[1][0] <= time_us - FROZEN_US:
            self._pairs.popleft()
        few = blocks[_EDGE:-_EDGE, :, ::BLOCK_PIXELS]
        while len(self._past) > 1 and self._past[1][0] <= time_us - REACH_US:
            self._past.popleft()
        self.frozen = self._repeats() and self._is_as_before(few, time_us)
        self._past.append((time_us, few.copy()))

    def _repeats(self) -> bool:
        pairs = self._pairs
        if len(pairs) < _LEAST_PAIRS or pairs[-1][0] - pairs[0][0] < FROZEN_US:
            return False
        shares = [share for _, share in pairs]
        return float(np.quantile(shares, _STAYS if self.frozen else 0.5)) >= FROZEN_SHARE

    def _is_as_before(self, few: NDArray[np.float32], time_us: int) -> bool:
        if not self._past or self._past[0][0] > time_us - REACH_US:
            return False
        structured = few.std(axis=2) >= _PLAIN
        best: dict[int, float] = {}
        for then_us, before in self._past:
            same = (np.abs(before - few).max(axis=2) < _EQUAL)[structured]
            share = float(same.mean()) if same.size >= _LEAST_BLOCKS else 0.0
            part = min(_PARTS, (time_us - then_us) * _PARTS // REACH_US)
            best[part] = max(best.get(part, 0.0), share)
        return min(best.values()) >= SAME_SHARE


def unlit(image: NDArray[Any]) -> Literal["dark", "over-exposed"] | None:
    """What there is to see of an image, uint8 or uint16, if nothing is: see `is_dark` and
    `is_over_exposed`."""
    blocks = _blocks(image)
    if blocks is None:
        return None
    deep = image.dtype.itemsize > 1
    mean = blocks.mean(axis=2)
    if _without_structure(blocks, mean < (DARK_16 if deep else DARK_8), DARK_SPREAD, DARK_SHARE):
        return "dark"
    spread = GLARE_SPREAD * (256 if deep else 1)
    if _without_structure(blocks, mean >= (GLARE_16 if deep else GLARE_8), spread, GLARE_SHARE):
        return "over-exposed"
    return None


def is_dark(image: NDArray[Any]) -> bool:
    """Whether nearly all blocks of an image, uint8 or uint16, are black and without structure."""
    return unlit(image) == "dark"


def is_over_exposed(image: NDArray[Any]) -> bool:
    """Whether most blocks of an image, uint8 or uint16, are white and without structure. The sky
    is, or a wall in the sun: while less than GLARE_SHARE is, the rest may still be seen."""
    return unlit(image) == "over-exposed"


def _without_structure(
    blocks: NDArray[np.float32], some: NDArray[np.bool_], spread: float, share: float
) -> bool:
    """Whether so large a share of the blocks is among `some` and spreads less."""
    # Spreads take most of the time, and in nearly all pictures the means have decided already.
    if some.mean() < share:
        return False
    return bool((some & (blocks.std(axis=2) < spread)).mean() >= share)


def _blocks(image: NDArray[Any]) -> NDArray[np.float32] | None:
    """Single pixels, BLOCK_PIXELS squared at most of each of BLOCKS squared blocks, as
    [block row, block column, pixel]; None of an image too small for that."""
    grey = image[..., 1] if image.ndim == 3 else image
    rows, columns = (_picked(size) for size in grey.shape)
    if rows is None or columns is None:
        return None
    picked = grey[rows][:, columns].astype(np.float32)
    high, wide = len(rows) // BLOCKS, len(columns) // BLOCKS
    apart = picked.reshape(BLOCKS, high, BLOCKS, wide).swapaxes(1, 2)
    return np.ascontiguousarray(apart).reshape(BLOCKS, BLOCKS, high * wide)


@lru_cache(maxsize=64)
def _picked(size: int) -> NDArray[np.intp] | None:
    each = min(size // BLOCKS, BLOCK_PIXELS)
    return (np.arange(BLOCKS * each) * size // (BLOCKS * each)) if each else None
