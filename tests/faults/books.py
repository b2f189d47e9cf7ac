"""What a stretch of time must have come to, counted from what the MQTT broker confirmed alone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from tests.faults.meters import ROW_READINGS
from tests.faults.plant import HOP_US, METERS, WIDTH_US
from tests.faults.world import Never, World


class Books:
    """The books of a world, from `begin_us` on."""

    def __init__(self, world: World, begin_us: int) -> None:
        self._world = world
        self._begin_us = begin_us
        follower = world.follower
        self._copies, self._torn = follower.copies, follower.torn
        self._conflicts = follower.outcome.conflicts

    async def close(self) -> dict[str, Any]:
        """The figures up to the newest window that is decided of every meter."""
        world, follower = self._world, self._world.follower
        end_us = world.decided_us()
        with suppress(Never):
            # What was decided may have been read before the rows it was decided by.
            await world.until(lambda: not world.missing(end_us, self._begin_us), "", limit_s=5)
        expected = self._expected(end_us)
        missing, wrong = compare(expected, follower.windows)
        lost = world.missing(end_us, self._begin_us)
        conflicts = follower.outcome.conflicts - self._conflicts
        return {
            "readings_confirmed": ROW_READINGS * self._rows(end_us),
            "readings_lost": ROW_READINGS * lost,
            "readings_doubled": ROW_READINGS * (follower.torn - self._torn) + conflicts,
            "written_again": follower.copies - self._copies,
            "windows_expected": len(expected),
            "windows_missing": missing,
            "windows_wrong": wrong,
            "unaccounted": sum(map(abs, unaccounted(world).values())),
        }

    def _rows(self, end_us: int) -> int:
        confirmed = self._world.meters.confirmed
        return sum(self._begin_us <= t < end_us for a in METERS for t in confirmed[a].copy())

    def _expected(self, end_us: int) -> dict[tuple[str, int], float]:
        """The mean flow of every window in this stretch."""
        first = -(-self._begin_us // HOP_US) * HOP_US
        found = {}
        for asset in METERS:
            rows = sorted(self._world.meters.confirmed[asset].copy().items())
            times = np.array([time_us for time_us, _ in rows], np.int64)
            flows = np.array([flow for _, flow in rows])
            for start in range(first, end_us - WIDTH_US + 1, HOP_US):
                inside = slice(*np.searchsorted(times, (start, start + WIDTH_US)))
                if inside.stop > inside.start:
                    found[asset, start] = float(flows[inside].mean())
        return found


def compare(
    expected: Mapping[tuple[str, int], float],
    windows: Mapping[tuple[str, str], Mapping[int, float | None]],
) -> tuple[int, int]:
    """How many windows were not decided, and how many by other rows than there are."""
    missing = wrong = 0
    for (asset, start), mean in expected.items():
        found = windows[asset, "mean"]
        if start not in found:
            missing += 1
        elif (score := found[start]) is None or abs(score - mean) > 1e-6 * abs(mean):
            wrong += 1
    return missing, wrong


def unaccounted(world: World) -> dict[str, int]:
    """By process and stage, what came in and is neither out nor held nor dropped."""
    return {
        f"{process} {stage}": account.missing
        for process, status in world.follower.statuses.items()
        for stage, account in status.account.items()
        if account.missing
    }
