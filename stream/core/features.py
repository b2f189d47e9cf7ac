"""Features of windows of rows: what rules and models look at. Training is serving: both use this.

    values [n, T, S] --raw_features--> [n, T, F] --centre, spread of each asset--> float32
                            |
                            +--pulse guard: rows that only a faulty instrument can show are masked

Every function is pure, vectorised over windows, and gives a window the same numbers whatever
other windows stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

# The MAD of a normal distribution times this is its standard deviation.
MAD_TO_SIGMA = 1.4826


class FeatureKind(StrEnum):
    """How a feature comes from its signals.

    `signal` (x): the value itself.
    `imbalance` (inlet, outlet): the fraction (inlet - outlet) / inlet that does not come out.
    `square_law` (p, q): log(p / q^2). Turbulent flow through a fixed resistance has p = k q^2,
    so the asset's centre is log k and the rest is the relative departure from the law.
    """

    SIGNAL = "signal"
    IMBALANCE = "imbalance"
    SQUARE_LAW = "square_law"


class Why(IntEnum):
    """Whether a window is measured, and if not, why."""

    MEASURED = 0
    MISSING = 1
    PULSE = 2


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature. `floor` is the smallest spread it is ever scaled by, in the feature's unit:
    what the instruments cannot tell apart is no difference."""

    name: str
    kind: FeatureKind
    signals: tuple[str, ...]
    floor: float

    def __post_init__(self) -> None:
        expected = 1 if self.kind is FeatureKind.SIGNAL else 2
        if len(self.signals) != expected:
            raise ValueError(f"feature {self.name}: expected {expected} signals for {self.kind}")
        if not self.floor > 0:
            raise ValueError(f"feature {self.name}: expected a floor above 0, got {self.floor}")


@dataclass(frozen=True, slots=True)
class PulseGuard:
    """Rows in which the imbalance `feature` is more than `excess` below the asset's centre (more
    comes out than goes in) are an instrument's fault. They are masked, and so are `before` rows
    before and `after` rows after each of them, for the instrument's tail."""

    feature: str
    excess: float
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """What a model sees. Scaled values are limited to `clip`; windows that keep fewer than
    `min_rows` rows are not measured."""

    features: tuple[Feature, ...]
    guard: PulseGuard | None
    clip: tuple[float, float]
    min_rows: int

    def __post_init__(self) -> None:
        names = [feature.name for feature in self.features]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"expected feature names that differ, got {names}")
        if self.guard is not None and self.guard.feature not in names:
            raise ValueError(f"guard: expected one of {names}, got {self.guard.feature!r}")

    @property
    def guarded(self) -> int:
        """The index of the guard's feature."""
        assert self.guard is not None
        return [feature.name for feature in self.features].index(self.guard.feature)


@dataclass(frozen=True, slots=True)
class Extracted:
    """`x` float32 [n, T, F]: scaled features, without NaN. `why` int8 [n]: values of Why.
    `kept` int64 [n]: rows that were neither missing nor masked."""

    x: npt.NDArray[np.float32]
    why: npt.NDArray[np.int8]
    kept: npt.NDArray[np.int64]

    @property
    def measured(self) -> Bools:
        """bool [n]: the windows that may be scored."""
        return np.asarray(self.why == Why.MEASURED)


def raw_features(values: Floats, signals: Sequence[str], features: Sequence[Feature]) -> Floats:
    """Unscaled features float64 [..., F] of values float64 [..., S]. NaN where a signal is
    missing or the feature has no meaning there (no flow, no pressure). Raises KeyError for a
    signal that is not in `signals`."""
    index = {signal: position for position, signal in enumerate(signals)}
    # One feature behind the other in memory: along an axis of three numpy is ten times as slow.
    out = np.moveaxis(np.empty((len(features), *values.shape[:-1])), 0, -1)
    for position, feature in enumerate(features):
        columns = [values[..., index[signal]] for signal in feature.signals]
        out[..., position] = _COMPUTE[feature.kind](*columns)
    return out


def _signal(x: Floats) -> Floats:
    return x


def _imbalance(inlet: Floats, outlet: Floats) -> Floats:
    flowing = np.where(inlet > 0, inlet, np.nan)
    return np.asarray((inlet - outlet) / flowing)


def _square_law(pressure: Floats, flow: Floats) -> Floats:
    p = np.where(pressure > 0, pressure, np.nan)
    q = np.where(flow > 0, flow, np.nan)
    return np.asarray(np.log(p / (q * q)))


_COMPUTE: dict[FeatureKind, Callable[..., Floats]] = {
    FeatureKind.SIGNAL: _signal,
    FeatureKind.IMBALANCE: _imbalance,
    FeatureKind.SQUARE_LAW: _square_law,
}


def pulse_rows(imbalance: Floats, centre: Floats | float, excess: float) -> Bools:
    """bool [..., T]: rows whose imbalance [..., T] is more than `excess` below `centre` (a number
    or [...]). A withdrawal raises the imbalance, so nothing of the process can do that."""
    with np.errstate(invalid="ignore"):
        return np.asarray(imbalance < np.asarray(centre)[..., None] - excess)


def widen(hits: Bools, before: int, after: int) -> Bools:
    """`hits` [..., T] and the `before` rows before and `after` rows after each."""
    out = hits.copy()
    if not hits.any():
        return out
    for step in range(1, after + 1):
        out[..., step:] |= hits[..., :-step]
    for step in range(1, before + 1):
        out[..., :-step] |= hits[..., step:]
    return out


def level(x: Floats, keep: Bools) -> Floats:
    """float64 [n]: the median over the rows of x [n, T] that `keep`; NaN where none is kept."""
    count = keep.sum(axis=-1)
    ordered = np.sort(np.where(keep, x, np.inf), axis=-1)
    last = np.maximum(count - 1, 0)
    low = np.take_along_axis(ordered, (last // 2)[..., None], axis=-1)
    high = np.take_along_axis(ordered, ((last + 1) // 2)[..., None], axis=-1)
    return np.asarray(np.where(count > 0, (low + high)[..., 0] / 2, np.nan))


def robust_scale(raw: Floats, floors: Sequence[float]) -> tuple[Floats, Floats]:
    """Centre and spread float64 [F] of an asset's history raw [rows, F]: median and 1.4826 MAD,
    at least `floors`. Rows with NaN do not count; without any other row ValueError is raised."""
    rows = raw[~np.isnan(raw).any(axis=-1)]
    if not len(rows):
        raise ValueError("no row of the history has all features")
    centre = np.median(rows, axis=0)
    spread = MAD_TO_SIGMA * np.median(np.abs(rows - centre), axis=0)
    return centre, np.maximum(spread, np.asarray(floors))


def extract(
    values: Floats, signals: Sequence[str], spec: FeatureSet, centre: Floats, spread: Floats
) -> Extracted:
    """Features of windows.

    `values` float64 [n, T, S] with NaN for what is missing, columns after `signals`; `centre` and
    `spread` float64 [n, F] are those of each window's asset. A row is kept when it has all
    features and is not masked by the guard. Rows that are not kept get the median of those that
    are, feature by feature, so that they neither raise nor hide anything; windows that are not
    measured are all zeros. NaN never leaves this function.
    """
    raw = raw_features(values, signals, spec.features)
    present = np.asarray(~np.isnan(raw).any(axis=-1))
    keep = present
    if spec.guard is not None:
        guard, at = spec.guard, spec.guarded
        hits = pulse_rows(raw[..., at], centre[:, at], guard.excess)
        keep = present & ~widen(hits, guard.before, guard.after)
    kept = keep.sum(axis=1)
    why = np.where(kept >= spec.min_rows, Why.MEASURED, Why.PULSE)
    why[present.sum(axis=1) < spec.min_rows] = Why.MISSING
    scaled = _scaled(raw, centre, spread)
    np.clip(scaled, *spec.clip, out=scaled)
    _fill(scaled, keep)
    scaled[why != Why.MEASURED] = 0.0
    return Extracted(
        scaled.astype(np.float32, order="C"), why.astype(np.int8), kept.astype(np.int64)
    )


def _scaled(raw: Floats, centre: Floats, spread: Floats) -> Floats:
    """Feature by feature, as they lie in memory."""
    by_feature = np.moveaxis(raw, -1, 0) - centre.T[:, :, None]
    by_feature /= spread.T[:, :, None]
    return np.moveaxis(by_feature, 0, -1)


def _fill(scaled: Floats, keep: Bools) -> None:
    holed = np.flatnonzero(~keep.all(axis=1))
    if not len(holed):
        return
    part, kept = scaled[holed], keep[holed]
    for feature in range(scaled.shape[-1]):
        middle = level(part[..., feature], kept)
        part[..., feature] = np.where(kept, part[..., feature], middle[:, None])
    scaled[holed] = part
