"""What is done to the lines, and when."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from broker.kafka_local import LocalKafka
from broker.producer import Producer
from contracts.record import Outgoing
from tests.chaos.site import go_on, stop_for
from tests.integration.edge_world import Publisher
from tests.processes.mosquitto import Mosquitto
from tests.processes.rtsp import RtspServer
from tests.soak.box import Box
from tests.soak.plant import PARTITIONS

BEGIN, LAST_END, END = 1 / 30, 17 / 30, 27 / 30
"""Shares of the whole time: the faults' begin and end, and after which no process is ended any
more, so that each has time to settle again and a last life that is long enough to be compared."""
EVERY_S = 25.0
_DEEP = b"[" * 20_000


@dataclass
class World:
    """What can be hurt. Rooms of `kept` are never killed, but for its second worker; all of
    `hurt` are."""

    kept: Box
    hurt: Box
    kafka: LocalKafka
    mosquitto: Mosquitto
    cameras: RtspServer
    device: Publisher
    assets: Sequence[str]


Strike = Callable[[World, np.random.Generator], Awaitable[dict[str, Any]]]


def plan(seed: int, total_s: float) -> list[tuple[float, str]]:
    """When which fault comes, in seconds. Every kind comes before any comes again, and first
    those that end a process: what is opened or learned after one of them is there early."""
    r = np.random.default_rng([seed, 99])
    count = max(len(STRIKES), round((END - BEGIN) * total_s / EVERY_S))
    moments = np.linspace(BEGIN, END, count, endpoint=False) * total_s
    moments += r.uniform(0, 0.5, count) * (END - BEGIN) * total_s / count
    left = [*_shuffled(r, LASTING), *_shuffled(r, ENDING)]
    found = []
    for at_s in moments.tolist():
        allowed = list(STRIKES) if at_s < LAST_END * total_s else LASTING
        left = [kind for kind in left if kind in allowed] or _shuffled(r, allowed)
        found.append((at_s, left.pop()))
    return found


def _shuffled(r: np.random.Generator, kinds: Sequence[str]) -> list[str]:
    return [str(kind) for kind in r.permutation(list(kinds))]


def _kill(line: str, *names: str) -> Strike:
    async def strike(world: World, r: np.random.Generator) -> dict[str, Any]:
        name = str(r.choice(names))
        await getattr(world, line).kill(name)
        return {"process": f"{line} {name}"}

    return strike


def _stop(line: str, *names: str, longest_s: float) -> Strike:
    async def strike(world: World, r: np.random.Generator) -> dict[str, Any]:
        name = str(r.choice(names))
        seconds = await _stopped(await getattr(world, line).pid(name), r, longest_s)
        return {"process": f"{line} {name}", "stopped_s": seconds}

    return strike


async def _stopped(pid: int, r: np.random.Generator, longest_s: float) -> float:
    seconds = float(r.uniform(2, longest_s))
    stop_for(pid)
    await asyncio.sleep(seconds)
    go_on(pid)
    return round(seconds, 1)


async def _kill_kafka(world: World, r: np.random.Generator) -> dict[str, Any]:
    await asyncio.to_thread(world.kafka.kill)
    await asyncio.sleep(float(r.uniform(0, 5)))
    await asyncio.to_thread(world.kafka.start)
    return {"process": "kafka"}


async def _stop_kafka(world: World, r: np.random.Generator) -> dict[str, Any]:
    pid = world.kafka.pid
    assert pid is not None
    return {"process": "kafka", "stopped_s": await _stopped(pid, r, 10)}


async def _restart_mosquitto(world: World, r: np.random.Generator) -> dict[str, Any]:
    # SIGKILL would lose what it has confirmed and not yet written down: that is its, not ours.
    await asyncio.to_thread(world.mosquitto.stop)
    await asyncio.sleep(float(r.uniform(0, 5)))
    await asyncio.to_thread(world.mosquitto.start)
    return {"process": "mosquitto"}


async def _cameras_gone(world: World, r: np.random.Generator) -> dict[str, Any]:
    seconds = float(r.uniform(3, 15))
    await asyncio.to_thread(world.cameras.kill)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(world.cameras.start)
    return {"process": "cameras", "gone_s": round(seconds, 1)}


async def _cameras_still(world: World, r: np.random.Generator) -> dict[str, Any]:
    seconds = float(r.uniform(3, 15))
    world.cameras.signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    world.cameras.signal(signal.SIGCONT)
    return {"process": "cameras", "stopped_s": round(seconds, 1)}


async def _broken_messages(world: World, r: np.random.Generator) -> dict[str, Any]:
    for payload in itertools.islice(_payloads(r), 40):
        asset = str(r.choice(world.assets)).split("/")[1]
        world.device.send(f"x/{asset}", payload)
    return {"messages": 40}


def _payloads(r: np.random.Generator) -> Any:
    while True:
        yield r.bytes(int(r.integers(0, 400)))
        yield _DEEP
        yield orjson.dumps({"rows": [{"t": 9_000_000_000_000_000, "flow1": 1.0}]})
        yield orjson.dumps({"rows": {"t": "never"}, "name": os.urandom(8).hex()})


async def _broken_records(world: World, r: np.random.Generator) -> dict[str, Any]:
    producer = Producer(world.kafka.bootstrap, client_id="soak-poison")
    await producer.start()
    records = [
        Outgoing(f"{prefix}.{topic}", str(r.choice(world.assets)).encode(), r.bytes(300), [], p)
        for prefix in ("kept", "hurt")
        for topic in ("readings", "frames")
        for p in range(PARTITIONS)
    ]
    await producer.send_all(records)
    await producer.stop()
    return {"messages": len(records)}


STRIKES: Mapping[str, Strike] = {
    "kill-kafka": _kill_kafka,
    "restart-mosquitto": _restart_mosquitto,
    "cameras-gone": _cameras_gone,
    "cameras-still": _cameras_still,
    "broken-messages": _broken_messages,
    "broken-records": _broken_records,
    "kill-edge": _kill("hurt", "edge"),
    "kill-worker": _kill("hurt", "worker-1"),
    "kill-second-worker": _kill("kept", "worker-2"),
    "kill-exporter": _kill("hurt", "exporter"),
    # Longer than Kafka waits for a worker: its partitions are another's when it wakes.
    "stop-worker": _stop("kept", "worker-1", "worker-2", longest_s=12),
    "stop-edge": _stop("kept", "edge", longest_s=10),
    "stop-exporter": _stop("kept", "exporter", longest_s=10),
    "stop-front": _stop("kept", "front", longest_s=10),
    "stop-kafka": _stop_kafka,
}
ENDING = [one for one in STRIKES if one.startswith(("kill-", "restart-")) or one == "cameras-gone"]
LASTING = [kind for kind in STRIKES if kind not in ENDING]
"""The kinds that leave every process alive."""


async def strike(world: World, kind: str, r: np.random.Generator) -> dict[str, Any]:
    """Does it, and says what was done."""
    began = time.monotonic()
    what = await STRIKES[kind](world, r)
    return {"kind": kind, **what, "seconds": round(time.monotonic() - began, 1)}
