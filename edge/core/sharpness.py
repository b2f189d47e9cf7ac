"""Whether a camera's picture is blurred, by how wide its edges are: against its own normal.

At an edge a derivative of Gaussian, of scale s, answers A / sqrt(2 pi (s^2 + b^2)), where A is the
step and b the blur. So the answers of two scales tell b whatever the step is, and the sum over
many edges, each with its sign, lets noise cancel: neither light nor night nor rain widens edges.
Blocks of the picture are judged each for itself, since a clock that is written into it stays
sharp, and what passes covers but a part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
Floats = NDArray[np.float64]
GRID = 6
LEARN_LOOKS = 60
RETRY = 60
WIDER = 1.3
"""A block is blurred when its edges are so much wider than normal, in pixels, as a blur that came
on top: sqrt(b^2 - normal^2)."""
FAINT_WIDER = 2.0
"""The same for the mean of many looks, which a camera that sways in the wind blurs by itself."""
SHARE = 0.6
_FINE, _COARSE = 1.0, 3.0
_STEP = 3
_LEAST_EDGES = 24
_LEAST_SLOPE, _FAINT_SLOPE = 1.0, 0.35
_NOISES = 4.0
_LEAST_BLOCKS = 8
_LEARN_BLOCKS = 16
"""More than something large that is parked before the camera while it learns."""
_LEAST_SHARE = 0.5
_SPREADS = 2.0
_REMAINS = 0.7
_ADDED = 1.5
_MEMORY_LOOKS = 20_000
MEAN_LOOKS = 6
"""The mean of about twice as many looks has a third of their noise: by night that is looked at."""
# Of white noise of 1 through the coarse derivative: 1 / sqrt(4 sqrt(pi) s^3).
_COARSE_NOISE = 1 / np.sqrt(4 * np.sqrt(np.pi) * _COARSE**3)


def edges(picture: Grey, least: float = _LEAST_SLOPE) -> tuple[Floats, Floats]:
    """The square of the blur in pixels [GRID * GRID] that the edges of each block show, NaN where
    there are too few; and how much edge there is. `picture` is grey [rows, columns]; an edge rises
    by `least` a pixel."""
    fine, coarse, count = (np.zeros(GRID * GRID) for _ in range(3))
    for lines in (picture, picture.T):
        blocks = _blocks(lines.shape, turned=lines is not picture)
        for total, part in zip((fine, coarse, count), _edges(lines, blocks, least), strict=True):
            total += part
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.clip(fine / coarse, 1.02, 0.99 * _COARSE / _FINE) ** 2
    squared = (_COARSE**2 - ratio * _FINE**2) / (ratio - 1)
    return np.where(count >= _LEAST_EDGES, squared, np.nan), coarse


def _blocks(shape: tuple[int, ...], *, turned: bool) -> NDArray[np.intp]:
    along, across = (np.arange(size) * GRID // size for size in shape)
    number = along[:, None] + across * GRID if turned else along[:, None] * GRID + across
    return np.asarray(number[_STEP // 2 :: _STEP])


def _edges(lines: Grey, blocks: NDArray[np.intp], least: float) -> tuple[Floats, Floats, Floats]:
    """By block: the sum of the fine answers at the edges along each of the lines, of the coarse
    ones, and how many edges there are."""
    kept = np.ascontiguousarray(lines[_STEP // 2 :: _STEP], np.float32)
    coarse, fine = _derived(kept, _COARSE), _derived(kept, _FINE)
    size = np.abs(coarse)
    noise = float(np.median(np.abs(kept[:, 1:] - kept[:, :-1]))) / (0.6745 * np.sqrt(2))
    edge = size > max(least, _NOISES * noise * _COARSE_NOISE)
    edge[:, 1:-1] &= (size[:, 1:-1] >= size[:, :-2]) & (size[:, 1:-1] > size[:, 2:])
    edge[:, [0, -1]] = False
    where = blocks[edge]

    def by_block(weight: NDArray[Any]) -> Floats:
        return np.bincount(where, weight, GRID * GRID).astype(np.float64)

    signed = np.sign(coarse[edge]) * fine[edge]
    return by_block(signed), by_block(size[edge]), by_block(np.ones(len(where)))


def _derived(lines: Grey, scale: float) -> Grey:
    """The derivative along the lines, of Gaussian `scale`: 0 where it would reach beyond them."""
    reach = int(np.ceil(3 * scale))
    found = np.zeros_like(lines)
    inner = found[:, reach:-reach]
    weight = np.arange(reach + 1) * np.exp(-0.5 * (np.arange(reach + 1) / scale) ** 2)
    # A slope of 1 gives 1.
    weight = weight / (2 * np.sum(weight * np.arange(reach + 1)))
    width = lines.shape[1]
    for at in range(1, reach + 1):
        ahead = lines[:, reach + at : width - reach + at]
        inner += np.float32(weight[at]) * (ahead - lines[:, reach - at : width - reach - at])
    return found


@dataclass(frozen=True, slots=True)
class Normal:
    """Of each block [GRID * GRID] the square of its normal blur, NaN where there are no edges, how
    much that spreads, and how much edge there is. Of the whole picture its mean grey and how much
    those of the blocks differ: what remains when it is blurred until no edge is left."""

    squared: Floats
    spread: Floats
    strength: Floats
    light: Floats


@dataclass(slots=True)
class Mean:
    """The mean of the last looks, with weights that fall by MEAN_LOOKS."""

    picture: Grey | None = None
    looks: int = 0

    def add(self, picture: Grey) -> None:
        """One more look."""
        if self.picture is None or self.picture.shape != picture.shape:
            self.picture, self.looks = picture.copy(), 1
            return
        self.looks += 1
        self.picture += (picture - self.picture) / np.float32(min(self.looks, MEAN_LOOKS))


@dataclass(slots=True)
class Sharpness:
    """Learns what is normal from LEARN_LOOKS looks, and then very slowly from those that are.
    Where they have too few edges it tries again, RETRY times as slowly: what came later shall have
    stayed for an hour."""

    normal: Normal | None = None
    _looks: list[tuple[Floats, Floats, Floats]] = field(default_factory=list)
    _unlearned: int | None = None
    _mean: Mean = field(default_factory=Mean)

    def look(self, picture: Grey) -> bool | None:
        """Whether `picture` is blurred; None while that is not known, or it cannot be told."""
        (found, strength), light = edges(picture), _light(picture)
        self._mean.add(picture)
        normal = self.normal
        if normal is None:
            self._learn(found, strength, light)
            return None
        judged = self._judged(normal, found)
        if judged is not None:
            blurred = _is_blurred(normal, found, strength, judged)
            if not blurred:
                normal.squared[judged] += (found - normal.squared)[judged] / _MEMORY_LOOKS
            return blurred
        # In the dark the light goes with the edges.
        if (light >= _REMAINS * normal.light).all():
            return True
        return self._faint(normal)

    def _faint(self, normal: Normal) -> bool | None:
        """What the mean of the last looks tells, where one look was not enough."""
        mean = self._mean
        if mean.picture is None or mean.looks < 2 * MEAN_LOOKS:
            return None
        found, strength = edges(mean.picture, _FAINT_SLOPE)
        judged = self._judged(normal, found)
        if judged is None:
            return None
        return _is_blurred(normal, found, strength, judged, FAINT_WIDER)

    def _judged(self, normal: Normal, found: Floats) -> NDArray[np.bool_] | None:
        """The blocks that can be judged; None where they are too few."""
        known = np.isfinite(normal.squared)
        judged = known & np.isfinite(found)
        enough = judged.sum() >= max(_LEAST_BLOCKS, _LEAST_SHARE * known.sum())
        return judged if enough else None

    def _learn(self, found: Floats, strength: Floats, light: Floats) -> None:
        if self._unlearned is not None:
            self._unlearned += 1
            if self._unlearned % RETRY:
                return
        self._looks.append((found, strength, light))
        if len(self._looks) < LEARN_LOOKS:
            return
        squared, spread = _normal([squared for squared, _, _ in self._looks])
        strength = np.maximum(np.median([one for _, one, _ in self._looks], axis=0), 1.0)
        light = np.median([one for _, _, one in self._looks], axis=0)
        self._looks.clear()
        self._unlearned = 0
        if np.isfinite(squared).sum() >= _LEARN_BLOCKS:
            self.normal = Normal(squared, spread, strength, light)


def _is_blurred(
    normal: Normal,
    found: Floats,
    strength: Floats,
    judged: NDArray[np.bool_],
    wider: float = WIDER,
) -> bool:
    kept = judged & ~_added(strength / normal.strength, judged)
    excess = found - normal.squared - _SPREADS * normal.spread
    return bool((excess[kept] > wider**2).mean() >= SHARE)


def _normal(looks: list[Floats]) -> tuple[Floats, Floats]:
    """The median of each block's blur and its spread; NaN where there are too few looks with edges,
    or where they are so wide or so unlike that more blur would not show."""
    every = np.array(looks)
    often = np.isfinite(every).mean(axis=0) >= 0.5
    squared, spread = np.full(GRID * GRID, np.nan), np.full(GRID * GRID, np.nan)
    squared[often] = np.nanmedian(every[:, often], axis=0)
    spread[often] = 1.4826 * np.nanmedian(np.abs(every[:, often] - squared[often]), axis=0)
    with np.errstate(invalid="ignore"):
        vague = (squared > _COARSE**2) | (spread > WIDER**2)
    squared[vague] = np.nan
    return squared, spread


def _added(share: Floats, judged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The blocks with more edge than was there, beside what light makes of all: a soft shadow lies
    on them, or something else has come. Blur only takes edge away."""
    return np.asarray(share > _ADDED * np.median(share[judged]))


def _light(picture: Grey) -> Floats:
    """The mean grey of the picture, and how much those of its blocks differ."""
    rows, columns = (np.arange(GRID) * size // GRID for size in picture.shape)
    sums = np.add.reduceat(np.add.reduceat(picture, rows, axis=0), columns, axis=1)
    means = sums / (picture.size / GRID**2)
    return np.array([means.mean(), means.std()], np.float64)
