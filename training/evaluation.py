"""How good a judge of windows is, on rows that were never fitted on.

Three questions: what it calls abnormal in the held-out rows as they are, what it calls abnormal
when pumps change all over them, and which withdrawals it finds, how late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from stream.core.features import Why, level, pulse_rows, raw_features, widen
from training import recipe
from training.fitting import Fitted
from training.scenarios import pump, trapezoid, withdraw
from training.whut import PERIOD_US, SIGNALS, Rows

ON_DELAY_US = 2_000_000
SIZES = (0.02, 0.03, 0.05, 0.10, 0.15)
NOT_MEASURED = -1

Verdicts: TypeAlias = npt.NDArray[np.int8]
Judge: TypeAlias = Callable[[Fitted, Rows], Verdicts]
"""Windows [n, ROWS, S] of one asset to 1 abnormal, 0 normal, NOT_MEASURED: int8 [n]."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The simple rule beside every model: the median imbalance of a window's unmasked rows is more
    than `limit` above the asset's centre."""

    limit: float = 0.012

    def levels(self, fitted: Fitted, windows: Rows) -> npt.NDArray[np.float64]:
        """float64 [n]: how far each window is above the centre; NaN where it is not measured."""
        guard, at = recipe.FEATURES.guard, recipe.FEATURES.guarded
        assert guard is not None
        feature = recipe.FEATURES.features[at : at + 1]
        imbalance = raw_features(windows, SIGNALS, feature)[..., 0]
        hits = pulse_rows(imbalance, fitted.centre[at], guard.excess)
        keep = ~widen(hits, guard.before, guard.after)
        levels = level(imbalance, keep) - fitted.centre[at]
        return np.asarray(np.where(keep.sum(axis=1) >= recipe.FEATURES.min_rows, levels, np.nan))

    def __call__(self, fitted: Fitted, windows: Rows) -> Verdicts:
        levels = self.levels(fitted, windows)
        return np.where(np.isnan(levels), NOT_MEASURED, levels > self.limit).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A model's judge: `scores` of features float32 [n, ROWS, F] against each asset's threshold."""

    scores: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
    thresholds: dict[str, float]

    def __call__(self, fitted: Fitted, windows: Rows) -> Verdicts:
        extracted = fitted.features(windows)
        abnormal = self.scores(extracted.x) > self.thresholds[fitted.run.asset]
        return np.where(extracted.why == Why.MEASURED, abnormal, NOT_MEASURED).astype(np.int8)


def alarms(verdicts: Verdicts, on_delay_us: int = ON_DELAY_US) -> list[int]:
    """The windows at which an alarm is raised: results have been abnormal for the on-delay.
    A window that is not measured changes nothing."""
    raised: list[int] = []
    since: int | None = None
    standing = False
    for index, verdict in enumerate(verdicts):
        if verdict == NOT_MEASURED:
            continue
        if verdict == 0:
            since, standing = None, False
            continue
        since = index if since is None else since
        if not standing and (index - since) * recipe.HOP_US >= on_delay_us:
            raised.append(index)
            standing = True
    return raised


def episodes(verdicts: Verdicts) -> int:
    """How often the judge turned to abnormal: alarms without an on-delay."""
    return len(alarms(verdicts, 0))


def false_alarms(judge: Judge, fitted: tuple[Fitted, ...]) -> dict[str, dict[str, int]]:
    """By asset, over all of its held-out rows as they are."""
    found = {}
    for one in fitted:
        verdicts = judge(one, recipe.cut_windows(one.run.held_out))
        found[one.run.asset] = _count(verdicts) | {"seconds": len(one.run.held_out) // 10}
    return found


def pump_changes(
    judge: Judge, fitted: tuple[Fitted, ...], *, draws: int, lag: int, seed: int
) -> dict[str, int]:
    """Over `draws` replays of held-out rows with pump changes of 5 to 15 %, up and down, with
    ramps of 1 to 4 s, all over them; the outlet follows `lag` rows late."""
    rng = np.random.default_rng(seed)
    total = {"draws": draws, "changes": 0, "windows": 0}
    for draw in range(draws):
        one = fitted[draw % len(fitted)]
        rows = one.run.held_out
        for shape in _changes(len(rows), rng):
            rows = pump(rows, shape, rng.uniform(0.05, 0.15) * rng.choice([-1, 1]), lag)
            total["changes"] += 1
        for key, value in _count(judge(one, recipe.cut_windows(rows))).items():
            total[key] = total.get(key, 0) + value
    return total


def _changes(rows: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.float64]]:
    start = 20
    while start < rows - 150:
        ramp, hold, gap = (int(rng.integers(*span)) for span in ((10, 41), (20, 150), (20, 150)))
        yield trapezoid(rows, start, ramp, hold)
        start += 2 * ramp + hold + gap


def _count(verdicts: Verdicts) -> dict[str, int]:
    return {
        "windows": len(verdicts),
        "not_measured": int((verdicts == NOT_MEASURED).sum()),
        "false_windows": int((verdicts == 1).sum()),
        "false_episodes": episodes(verdicts),
        "false_alarms": len(alarms(verdicts)),
    }


def withdrawals(
    judge: Judge, fitted: tuple[Fitted, ...], *, draws: int, seed: int
) -> dict[str, dict[str, float]]:
    """By size, `draws` withdrawals in held-out rows, held 8 s after ramps of 0.5 to 3 s with any
    split: how many raise an alarm, and how long after their start."""
    found = {}
    for size in SIZES:
        rng = np.random.default_rng(seed)
        delays = [_delay(judge, fitted[draw % len(fitted)], size, rng) for draw in range(draws)]
        seen = [delay for delay in delays if delay is not None]
        found[f"{size:.0%}"] = {
            "events": draws,
            "found": len(seen),
            "delay_median_s": float(np.median(seen)) if seen else 0.0,
            "delay_max_s": max(seen, default=0.0),
        }
    return found


def _delay(judge: Judge, one: Fitted, size: float, rng: np.random.Generator) -> float | None:
    before, after, hold = 60, 60, 80
    ramp = int(rng.integers(5, 31))
    length = before + 2 * ramp + hold + after
    start = int(rng.integers(0, len(one.run.held_out) - length))
    rows = one.run.held_out[start : start + length]
    taken = withdraw(rows, trapezoid(length, before, ramp, hold), size, rng.uniform())
    for window in alarms(judge(one, recipe.cut_windows(taken))):
        ends = window * recipe.HOP + recipe.ROWS
        if ends > before:
            return (ends - before) * PERIOD_US / 1_000_000
    return None
