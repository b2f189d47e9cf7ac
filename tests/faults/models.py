"""Models that fail, answer what is no number, or take more and more memory."""

from __future__ import annotations

import asyncio
import time

import psutil

from tests.faults.meters import USUAL
from tests.faults.packages import LIMIT
from tests.faults.plant import MEMORY_BYTES, MODELS
from tests.faults.row import Found, Strike
from tests.faults.world import World

SOME = 4
STEP, STEPS, STEP_S = 10, 60, 0.5


def wrong(name: str, told: str) -> Strike:
    """What this model looks at passes the limit beyond which it does wrong."""
    asset, told_of = MODELS[name][0], f"detector {name}: model {name}"

    async def strike(world: World) -> Found:
        pids = await _pids(world)
        world.meters.flow[asset] = 1.5 * LIMIT
        since = time.monotonic()
        # By the log: operators are told for a minute after the last failure, of whichever model.
        detect_s = await world.until(lambda: told_of in _logs(world), "the log does not say it")
        await world.until(lambda: len(_failed(world, name)) >= SOME, "nothing was left unmeasured")
        world.meters.flow[asset] = USUAL
        bad = max(_failed(world, name))
        back = time.monotonic()
        await world.until(lambda: _measured(world, name, bad), "it is not measured again")
        recover_s = time.monotonic() - back
        await world.recovered()
        held = {
            "its windows are not measured": all(
                world.follower.windows[asset, name][start] is None for start in _failed(world, name)
            ),
            "the worker went on": await _pids(world) == pids,
            "operators are told": "a model fails: what it fails at is not measured"
            in world.run.text,
            "it took less than a minute": time.monotonic() - since < 60,
        }
        return Found(told, held, detect_s, recover_s)

    return strike


def _logs(world: World) -> str:
    return world.log("worker") + world.log("second")


def _failed(world: World, name: str) -> list[int]:
    reasons = world.follower.reasons[MODELS[name][0], name]
    return [start for start, reason in reasons.items() if reason == "model-failed"]


def _measured(world: World, name: str, after: int) -> bool:
    windows = world.follower.windows[MODELS[name][0], name]
    return any(start > after and score is not None for start, score in windows.items())


async def _pids(world: World) -> list[int]:
    rooms = ("worker", "second")
    return [await asyncio.to_thread(world.pid, room) for room in rooms]


async def grows(world: World) -> Found:
    """A session that keeps room for every length that there was, each longer than the last."""
    said, asset = len(world.run.text), MODELS["grows"][0]
    pids = await _pids(world)
    since, largest = time.monotonic(), 0
    for step in range(STEPS):
        if "more than stream.memory_bytes allows" in world.run.text[said:]:
            break
        world.meters.flow[asset] = LIMIT + step * STEP
        largest = max([largest, *map(_resident, pids)])
        await asyncio.sleep(STEP_S)
    detect_s = time.monotonic() - since
    world.meters.flow[asset] = USUAL
    back = time.monotonic()
    await world.said("is started again", said)
    await asyncio.sleep(3)
    await world.recovered()
    held = {
        "it grew beyond its bound": largest > MEMORY_BYTES / 2,
        "it ended and said why": "more than stream.memory_bytes allows" in world.run.text[said:],
        "another was started": await _pids(world) != pids,
    }
    figures = {"largest_resident_mb": round(largest / 1e6)}
    told = f"an ONNX session grows past {MEMORY_BYTES / 1e6:.0f} MB of resident memory"
    return Found(told, held, detect_s, time.monotonic() - back, figures=figures)


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
