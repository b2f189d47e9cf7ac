"""Sensors that lie: each is told as an instrument's fault, and what it covers is not measured."""

from __future__ import annotations

import time
from collections.abc import Callable

from contracts.messages import AlarmClass, Transition
from contracts.readings import Quality
from tests.faults.meters import Gauge
from tests.faults.row import Found, Strike
from tests.faults.world import World

WINDOW_US = 2_000_000


def lying(name: str, quality: Quality, told: str, lie: Callable[[Gauge], None]) -> Strike:
    """The gauge of that name begins to lie, until it is alarmed and a little longer."""
    asset = f"works/{name}"

    async def strike(world: World) -> Found:
        gauge, known = world.meters.gauges[asset], len(world.follower.alerts)
        since = time.monotonic()
        lie(gauge)
        await world.until(lambda: _told(world, asset, known, Transition.RAISED), "it was not told")
        detect_s = time.monotonic() - since
        alert = next(one for one in world.follower.alerts[known:] if one.asset == asset)
        await world.until(lambda: len(_marks(world, asset, quality)) > 10, "it was not marked")
        world.meters.gauges[asset] = Gauge()
        since = time.monotonic()
        await world.until(lambda: _told(world, asset, known, Transition.CLEARED), "not cleared")
        held = {
            "it is an alarm of class instrument": alert.alarm_class is AlarmClass.INSTRUMENT,
            f"its reason is {quality.name}": alert.reason == quality.name.lower().replace("_", "-"),
            "what it covers is not measured": _unmeasured(world, asset, quality),
        }
        return Found(told, held, detect_s, time.monotonic() - since, "recovery: alarm cleared")

    return strike


def _told(world: World, asset: str, known: int, what: Transition) -> bool:
    return any(o.asset == asset and o.transition is what for o in world.follower.alerts[known:])


def _marks(world: World, asset: str, quality: Quality) -> list[int]:
    marks = world.follower.marks[asset]
    return [t for t, code in marks if code is quality and t >= world.since_us]


def _unmeasured(world: World, asset: str, quality: Quality) -> bool:
    """Whether no window that lies wholly in what is marked has a score."""
    marks = _marks(world, asset, quality)
    windows = world.follower.windows[asset, "level"]
    inside = [s for s in windows if min(marks) <= s and s + WINDOW_US <= max(marks)]
    return all(windows[start] is None for start in inside)


def _silent(gauge: Gauge) -> None:
    gauge.silent = True


def _stuck(gauge: Gauge) -> None:
    gauge.value = 50.0


def _out_of_range(gauge: Gauge) -> None:
    gauge.offset = 1000.0


def _jump(gauge: Gauge) -> None:
    gauge.offset = 80.0


def _ahead(gauge: Gauge) -> None:
    gauge.skew_us = 30_000_000


SOURCES: dict[str, Strike] = {
    "silent": lying("silent", Quality.MISSING, "a sensor falls silent", _silent),
    "stuck": lying("stuck", Quality.STUCK, "a sensor sends one value for ever", _stuck),
    "out-of-range": lying(
        "range", Quality.OUT_OF_RANGE, "a sensor sends what cannot be", _out_of_range
    ),
    "jump": lying("jump", Quality.JUMP, "a sensor leaps further than it can", _jump),
    "clock-skew": lying("clock", Quality.CLOCK, "a sensor's clock is 30 s ahead", _ahead),
}
