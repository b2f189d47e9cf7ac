"""When the clock of a source is not believed: real moments of readings, a clock that is wrong from
one of them on, and messages that are late on their way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge.core.stamps import LEAST_BEHIND, PATIENCE_US, SourceClock
from tests.grade.photos import Part
from tests.grade.series import Floats, series

SKEW_US = 30_000_000
WRONG = (
    "step of 45 s ahead",
    "step of 2 min behind",
    "step to 1970",
    "drift of 1 s a minute ahead",
    "drift of 1 s a minute behind",
)
RIGHT = (
    "20 s ahead (within the limit)",
    "20 s behind (within the limit)",
    "right, after an outage of 10 min",
    "right, some messages 5 min late",
)
_OFF_S = {
    "step of 45 s ahead": 45.0,
    "step of 2 min behind": -120.0,
    "step to 1970": -1e8,
    "20 s ahead (within the limit)": 20.0,
    "20 s behind (within the limit)": -20.0,
}
_BEGIN_S, _OUTAGE_S, _DRIFT = 600.0, 600.0, 1 / 60
_MOST_READINGS = 7200
_EPOCH_S = 1e9


def moments(part: Part) -> Iterator[tuple[str, Floats]]:
    """The seconds, from 0 on, at which real signals were read: one for each source, and a made one
    each second."""
    if part == "chosen-on":
        yield "each second", np.arange(_MOST_READINGS, dtype=np.float64)
    seen = set()
    for one in series(part):
        if one.source not in seen and len(one.times_us) > 1:
            seen.add(one.source)
            passed_s = (one.times_us - one.times_us[0])[:_MOST_READINGS] / 1e6
            yield one.source, passed_s


def begin_s(times_s: Floats) -> float:
    """When the fault begins: after _BEGIN_S or a quarter of the time, and ten readings."""
    return max(min(_BEGIN_S, float(times_s[-1]) / 4), float(times_s[min(10, len(times_s) - 1)]))


def lasts(kind: str, times_s: Floats) -> bool:
    """Whether it lasts long enough to be told: a drift must first become too much."""
    needed_s = SKEW_US / 1e6 / _DRIFT if kind.startswith("drift") else 0.0
    begin = begin_s(times_s)
    late = times_s[times_s >= begin + needed_s]
    return len(late) > LEAST_BEHIND and float(late[-1] - late[0]) > PATIENCE_US / 1e6


def told(kind: str, times_s: Floats, seed: int) -> float | None:
    """After how many seconds from the fault the clock is not believed; None: it always is."""
    rng, judge, begin = np.random.default_rng(seed), SourceClock(SKEW_US), begin_s(times_s)
    for true_s in times_s.tolist():
        passed_s = true_s - begin
        arrival_s = true_s + float(rng.gamma(2, 0.1)) + _delay_s(kind, passed_s, rng)
        source_us = int((_EPOCH_S + true_s + _off_s(kind, passed_s)) * 1e6)
        if not judge.believes(source_us, int((_EPOCH_S + arrival_s) * 1e6)):
            return float(passed_s)
    return None


def _delay_s(kind: str, passed_s: float, rng: np.random.Generator) -> float:
    if kind == "right, after an outage of 10 min" and 0 <= passed_s < _OUTAGE_S:
        # What was kept comes in order, a hundred times as fast.
        return _OUTAGE_S - passed_s * 0.99
    late = kind == "right, some messages 5 min late" and passed_s > 0 and rng.random() < 0.3
    return 300.0 if late else 0.0


def _off_s(kind: str, passed_s: float) -> float:
    if passed_s < 0:
        return 0.0
    if kind.startswith("drift"):
        return passed_s * _DRIFT * (1 if kind.endswith("ahead") else -1)
    return _OFF_S.get(kind, 0.0)
