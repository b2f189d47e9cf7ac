"""`make chaos`: CHAOS_SEED, CHAOS_ROWS, CHAOS_FRAMES, CHAOS_KILLS, CHAOS_ASSETS, CHAOS_JSON; exit
code 0 only if the run with kills decided exactly what the uninterrupted one did."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from broker.kafka_local import LocalKafka
from contracts.readings import ReadingBatch
from tests.asked import asked
from tests.chaos.line import Line, equal, open_windows, outcome, same_alarms
from tests.chaos.tanks import DETECTORS as SEEN
from tests.chaos.tanks import FrameMessage, Tanks
from tests.chaos.world import DETECTORS, batches, count_windows, write_plant

PARTITIONS = 4
# Rows of an asset come seldom: until its windows close, the commit stays this far behind.
AHEAD_ROWS_AN_ASSET = 600


@dataclass(frozen=True)
class Settings:
    """What is asked for."""

    seed: int = 1
    rows: int = 500_000
    frames: int = 10_000
    kills: int = 8
    assets: int = 200


def main() -> int:
    settings = asked(Settings, "CHAOS")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        bootstrap = os.environ.get("KAFKA_BOOTSTRAP")
        if bootstrap is None:
            bootstrap = stack.enter_context(LocalKafka(folder / "kafka")).bootstrap
        found = asyncio.run(chaos(settings, bootstrap, folder))
    text = json.dumps(found, indent=2)
    print(text)
    if path := os.environ.get("CHAOS_JSON"):
        Path(path).write_text(text)
    return 0 if found["equal"] else 1


async def chaos(settings: Settings, bootstrap: str, folder: Path) -> dict[str, Any]:
    """Both runs and what came of them."""
    began = time.monotonic()
    assets = [f"chaos/a{number:03d}" for number in range(settings.assets)]
    tanks = [f"tanks/t{number:02d}" for number in range(10 if settings.frames else 0)]
    rows = batches(settings.seed, assets, settings.rows)
    frames = Tanks(settings.seed, tanks).frames(settings.frames)
    log = mixed(settings.seed, rows, frames)
    expected = len(count_windows(rows)) * len(DETECTORS) + len(count_windows(frames)) * len(SEEN)
    lines = []
    for kind in ("calm", "chaos"):
        prefix = f"{kind}{settings.seed}x{os.getpid()}"
        plant = write_plant(folder, assets, prefix, PARTITIONS, tanks)
        line = Line(bootstrap, prefix, PARTITIONS, plant, log)
        await line.create()
        lines.append(line)
    calm, wild = lines
    await run_calm(calm)
    kills = await run_wild(wild, settings)
    return await compare(calm, wild, expected, settings, kills, time.monotonic() - began)


def mixed(
    seed: int, rows: Sequence[ReadingBatch], frames: Sequence[FrameMessage]
) -> list[ReadingBatch | FrameMessage]:
    """Both, each in its order."""
    r = np.random.default_rng([seed, 55])
    turns = np.repeat([0, 1], [len(rows), len(frames)])
    r.shuffle(turns)
    left, right = iter(rows), iter(frames)
    return [next(right) if turn else next(left) for turn in turns.tolist()]


async def run_calm(line: Line) -> None:
    """One worker, nothing happens."""
    await line.publish()
    line.start("a")
    try:
        await line.drained()
    finally:
        line.close()


async def run_wild(line: Line, settings: Settings) -> list[dict[str, int]]:
    """`kills` workers die, while a second one joins and leaves."""
    r = np.random.default_rng([settings.seed, 99])
    points = sorted(r.integers(settings.rows // 50, int(settings.rows * 0.95), settings.kills))
    kills = []
    following = asyncio.create_task(line.follow_status())
    line.start("a")
    try:
        for at_row in map(int, points):
            await line.publish(at_row, AHEAD_ROWS_AN_ASSET * settings.assets)
            await _burst(line, settings.rows // 50)
            kills.append(await _kill(line, r))
            _join_or_leave(line, r)
        await line.publish()
        await line.drained()
    finally:
        following.cancel()
        line.close()
    return kills


async def _burst(line: Line, rows: int) -> None:
    """Publishes faster than anybody reads, until there is lag and a worker has windows open."""
    while True:
        while not _busy(line):
            line.check()
            await asyncio.sleep(0.2)
        await line.publish(line.written + rows)
        if await line.lag("readings", "frames") and _busy(line):
            return
        if line.next_batch >= len(line.log):
            raise SystemExit("the input ended before this kill: ask for more rows or fewer kills")


def _busy(line: Line) -> list[str]:
    return [name for name in line.workers if open_windows(_statuses(line, name))]


def _statuses(line: Line, name: str) -> list[Any]:
    latest = [s for p, s in line.statuses.items() if p.startswith(f"stream/{name}-")]
    return sorted(latest, key=lambda status: status.started_us)[-1:]


async def _kill(line: Line, r: np.random.Generator) -> dict[str, int]:
    name = str(r.choice(_busy(line)))
    held, lag = open_windows(_statuses(line, name)), await line.lag("readings", "frames")
    line.kill(name)
    line.start(name)
    print(f"killed {name} at row {line.written}: lag {lag}, open windows {held}", file=sys.stderr)
    return {"at_row": line.written, "lag": lag, "open_windows": held}


def _join_or_leave(line: Line, r: np.random.Generator) -> None:
    if "b" not in line.workers:
        line.start("b")
    elif r.random() < 0.5:
        line.leave("b")


async def compare(
    calm: Line,
    wild: Line,
    expected: int,
    settings: Settings,
    kills: list[dict[str, int]],
    seconds: float,
) -> dict[str, Any]:
    """The figures."""
    reference, found = await outcome(calm), await outcome(wild)
    alarms = same_alarms(reference, found)
    doubled = found.conflicts + reference.conflicts
    detections = equal(reference, found) and len(found.detections) == expected
    return {
        "seed": settings.seed,
        "rows": settings.rows,
        "frames": settings.frames,
        "kills": kills,
        "windows_expected": expected,
        "windows_effective": len(found.detections),
        "windows_uninterrupted": len(reference.detections),
        "decided_again_alike": found.repeats,
        "duplicates": doubled,
        "alerts": len(reference.alerts),
        "alarms_equal": alarms,
        "equal": detections and alarms and not doubled,
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
