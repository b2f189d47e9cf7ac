"""When a signal is told to be silent: real moments of readings, of which some are taken away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.plant.model import SignalSet
from edge.core.health import watches
from tests.grade.series import Series

Times = NDArray[np.int64]
LOOKS = 8
"""How often it is looked at, in the time between two readings."""
_MOST_READINGS = 4_000
_JITTER = 0.1
SHARES = {"for half of its patience": 0.5, "for 1.5 of it": 1.5, "for 5 of it": 5.0}
_TRIALS = 6


@dataclass(frozen=True, slots=True)
class Silence:
    """No reading came after `begin_us` until `end_us`, and after how long it was told; None:
    never."""

    begin_us: int
    end_us: int
    after_us: int | None


class Arrivals:
    """A signal's readings by when they arrive, late by up to some tenths of their period, drawn by
    seed."""

    def __init__(self, series: Series, seed: int) -> None:
        half = len(series.times_us) * 6 // 10
        times_us = series.times_us[half : half + _MOST_READINGS]
        self.period_us = max(1, int(np.median(np.diff(series.times_us))))
        late = np.random.default_rng(seed).gamma(2, _JITTER / 2, len(times_us))
        self.at_us: Times = np.sort(times_us + (late * self.period_us).astype(np.int64))
        self._group = SignalSet.model_validate(
            {"signals": [{"id": "x", "topic": "x", "period": f"{self.period_us}us"}]}
        )
        self.patience_us = watches("s/a", self._group, 0)[0].patience_us

    def silences(self, at_us: Times) -> list[Silence]:
        """Every pause of these arrivals that is longer than the patience, or that was told."""
        (watch,) = watches("s/a", self._group, int(at_us[0]))
        found, step_us = [], max(1, self.period_us // LOOKS)
        for here_us, next_us in zip(at_us[:-1].tolist(), at_us[1:].tolist(), strict=True):
            watch.observe(here_us, 0.0, here_us)
            watch.look(here_us, 0)
            after_us = None
            # Past its patience it is told by the next look or not at all.
            last_us = min(next_us, here_us + self.patience_us + 2 * step_us)
            for now_us in range(here_us + step_us, last_us, step_us):
                watch.look(now_us, 0)
                if watch.state == "silent":
                    after_us = now_us - here_us
                    break
            if after_us is not None or next_us - here_us > self.patience_us + step_us:
                found.append(Silence(here_us, next_us, after_us))
        return found


def own(arrivals: Arrivals) -> list[Silence]:
    """Those of the signal as it is."""
    return arrivals.silences(arrivals.at_us)


def planted(arrivals: Arrivals, seed: int) -> Iterator[tuple[str, bool, int | None]]:
    """By size: a pause that was made where there was none, whether it is longer than the patience
    and so must be told, and after how long it was; None: never."""
    rng, at_us = np.random.default_rng(seed), arrivals.at_us
    for begin in rng.integers(len(at_us) // 10, len(at_us) * 8 // 10, _TRIALS).tolist():
        for size, share in SHARES.items():
            end = int(np.searchsorted(at_us, at_us[begin] + int(share * arrivals.patience_us)))
            around = np.concatenate([at_us[max(0, begin - 20) : begin + 1], at_us[end : end + 20]])
            pause_us = int(np.diff(around[: min(begin, 20) + 2])[-1]) if end < len(at_us) else 0
            # One that is longer by a pause of its own than was meant is none of that size.
            if end > begin + 1 and pause_us and (share > 1) == (pause_us > arrivals.patience_us):
                made = [one for one in arrivals.silences(around) if one.begin_us == at_us[begin]]
                after_us = made[0].after_us if made else None
                yield size, pause_us > arrivals.patience_us, after_us
