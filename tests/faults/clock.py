"""The clock of the box steps: the edge's, workers' and exporter's, while the sensors' goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from tests.faults.row import Found, Strike
from tests.faults.world import World
from tests.processes.clocks import clock_of

STEP_S = 1800


def clock_file(folder: Path) -> Path:
    """What says how far the clock is off."""
    return folder / "clock"


def clock_environment(library: Path, folder: Path) -> Mapping[str, str]:
    """The environment of a box whose clock is right at first."""
    folder.mkdir(parents=True, exist_ok=True)
    clock_file(folder).write_text("+0")
    return clock_of(library, clock_file(folder))


def stepping(seconds: int) -> Strike:
    """The box's clock is set `seconds` ahead of what it was."""

    async def strike(world: World) -> Found:
        said = len(world.log("edge"))
        before = float(clock_file(world.folder).read_text())
        clock_file(world.folder).write_text(f"{before + seconds:+.0f}")
        since = time.monotonic()
        text = f"clock was set by {seconds:+d}"[: len("clock was set by +")]
        detect_s = await world.until(lambda: text in world.log("edge")[said:], "it was not said")
        await asyncio.sleep(6)
        await world.recovered()
        silent = "silent" in world.log("edge")[said:]
        told = f"the box's clock is set {seconds:+d} s (libfaketime)"
        return Found(told, {"nobody is silent": not silent}, detect_s, time.monotonic() - since)

    return strike


STEPS: dict[str, Strike] = {
    "clock-step-ahead": stepping(STEP_S),
    "clock-step-back": stepping(-STEP_S),
}
