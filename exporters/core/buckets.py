"""Durations counted into buckets."""

from __future__ import annotations

from bisect import bisect_left

from contracts.messages import Histogram

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Buckets:
    """A growing histogram of seconds."""

    def __init__(self, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one duration; a negative one (two clocks differ) as 0."""
        seconds = max(seconds, 0.0)
        self._counts[bisect_left(self._bounds_s, seconds)] += 1
        self._sum_s += seconds

    def histogram(self) -> Histogram:
        """The cumulative counts until now."""
        total, counts = 0, []
        for count in self._counts:
            total += count
            counts.append(total)
        return Histogram(
            bounds_s=self._bounds_s, counts=tuple(counts[:-1]), sum_s=self._sum_s, count=total
        )
