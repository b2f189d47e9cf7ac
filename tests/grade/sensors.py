"""What is told of sensors whose readings are real, and of those that had something done to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.plant.model import Signal
from contracts.readings import Quality
from edge.core.health import Watch
from tests.grade.series import Floats, Series

Times = NDArray[np.int64]
Bools = NDArray[np.bool_]
FIT_SHARE = 0.6
STILLS, STEPS = 4.0, 2.0
"""The rules that a user would set from history: stuck after so many times the longest stand-still
of it, and a step of so many times the largest one but for the thousandth part."""
_FAST = 0.999
_TRIALS = 6
KINDS = {"stuck": Quality.STUCK, "jump": Quality.JUMP, "out-of-range": Quality.OUT_OF_RANGE}
_NOT_BELIEVED = {"spike": ("jump", "out-of-range"), "step": ("jump", "out-of-range")}


@dataclass(frozen=True, slots=True)
class Rules:
    """A signal with its rules; `span` is between the 1st and the 99th hundredth of its history,
    `after_us` is 0 where it may stand still."""

    signal: Signal
    span: float
    after_us: int


@dataclass(frozen=True, slots=True)
class Trial:
    """A planted fault, whether it could be judged, and after how many seconds it was told (None:
    never)."""

    source: str
    planted: str
    size: str
    after_s: float | None
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Clean:
    """The graded part as it is, but for what its source calls anomalous: how long, and how many
    episodes of each kind were told."""

    source: str
    name: str
    hours: float
    finds: dict[str, int]


def rules_of(series: Series) -> Rules:
    """From the first FIT_SHARE of it. A signal that stood still for a hundredth of that time or
    more may stand still."""
    cut = int(len(series.values) * FIT_SHARE)
    values, times = series.values[:cut], series.times_us[:cut]
    low, high = np.quantile(values, (0.01, 0.99))
    span = float(max(high - low, 1e-9))
    after_us = int(STILLS * max(_longest_still_us(times, values), int(np.median(np.diff(times)))))
    step = float(np.quantile(np.abs(np.diff(values)), _FAST)) * STEPS
    still = after_us * 100 / STILLS > times[-1] - times[0]
    known: dict[str, object] = {"id": "x", "topic": "x"}
    known["range"] = (float(values.min()) - 2 * span, float(values.max()) + 2 * span)
    known["jump"] = {"rate": max(step, 1e-9) / 1e7, "step": step}
    if not still:
        known["stuck"] = {"after": f"{after_us}us"}
    return Rules(Signal.model_validate(known), span, 0 if still else after_us)


def _longest_still_us(times: Times, values: Floats) -> int:
    changes = np.concatenate([[0], np.flatnonzero(np.diff(values) != 0) + 1, [len(values) - 1]])
    return int(np.diff(times[changes]).max())


def told(rules: Rules, times_us: Times, values: Floats) -> Floats:
    """The quality of each reading."""
    watch = Watch("s/a", rules.signal, 10**12, 0)
    pairs = zip(times_us.tolist(), values.tolist(), strict=True)
    return np.array([watch.observe(time, value, time) for time, value in pairs], np.float64)


def clean(series: Series, rules: Rules) -> Clean:
    """The graded part with nothing planted."""
    cut = int(len(series.values) * FIT_SHARE)
    codes = told(rules, series.times_us[cut:], series.values[cut:])
    strange = series.strange[cut:]
    passed_us = np.diff(series.times_us[cut:], append=series.times_us[-1])
    hours = float(passed_us[~strange].sum()) / 3_600e6
    finds = {kind: _episodes((codes == code) & ~strange) for kind, code in KINDS.items()}
    return Clean(series.source, series.name, hours, finds)


def _episodes(hits: Bools) -> int:
    return int(hits[:1].sum() + (hits[1:] & ~hits[:-1]).sum())


def trials(series: Series, rules: Rules, seed: int) -> Iterator[Trial]:
    """Each kind and size at some moments of the graded part."""
    rng = np.random.default_rng(seed)
    cut = int(len(series.values) * FIT_SHARE)
    times, values = series.times_us[cut:], series.values[cut:]
    for begin in rng.integers(len(values) // 10, len(values) * 6 // 10, _TRIALS).tolist():
        for planted, size, end, changed in _leaps(rules, values, begin):
            found = _first(rules, times, changed, begin, min(end, begin + 3), planted)
            yield Trial(series.source, planted, size, found)
        for size, value in _beyond(rules).items():
            changed = values.copy()
            changed[begin : begin + 3] = value
            found = _first(rules, times, changed, begin, begin + 3, "out-of-range")
            yield Trial(series.source, "out-of-range", size, found)
        yield _stuck(series.source, rules, times, values, begin)


def _leaps(rules: Rules, values: Floats, begin: int) -> Iterator[tuple[str, str, int, Floats]]:
    """What, how large, until when, and the values with it."""
    sizes = {f"{share:g} of its span": share * rules.span for share in (0.3, 1.0, 3.0)}
    assert rules.signal.jump is not None
    sizes["2.5 times what it may"] = 2.5 * rules.signal.jump.step
    for size, height in sizes.items():
        for planted, end in (("spike", begin + 1), ("step", len(values))):
            changed = values.copy()
            changed[begin:end] += height
            yield planted, size, end, changed


def _beyond(rules: Rules) -> dict[str, float]:
    """Values that the signal cannot have."""
    assert rules.signal.range is not None
    low, high = rules.signal.range
    return {
        "a hundredth of its span above": high + 0.01 * rules.span,
        "a hundredth of its span below": low - 0.01 * rules.span,
        "far above": high + 1e6,
    }


def _stuck(source: str, rules: Rules, times: Times, values: Floats, begin: int) -> Trial:
    if not rules.after_us:
        return Trial(source, "stuck", "for 2 of its times", None, judged=False)
    changed = values.copy()
    end = int(np.searchsorted(times, times[begin] + 2 * rules.after_us))
    changed[begin:end] = values[begin]
    if end >= len(times):
        return Trial(source, "stuck", "for 2 of its times", None, judged=False)
    found = _first(rules, times, changed, begin, end, "stuck")
    return Trial(source, "stuck", "for 2 of its times", found)


def _first(
    rules: Rules,
    times: Times,
    values: Floats,
    begin: int,
    end: int,
    planted: str,
) -> float | None:
    start = max(0, begin - 2_000)
    codes = told(rules, times[start:end], values[start:end])[begin - start :]
    wanted = [KINDS[one] for one in _NOT_BELIEVED.get(planted, (planted,))]
    hits = np.flatnonzero(np.isin(codes, wanted))
    return float(times[begin + hits[0]] - times[begin]) / 1e6 if len(hits) else None
