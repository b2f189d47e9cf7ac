"""`make soak`: SOAK_SECONDS (1800), SOAK_SEED, SOAK_RATE (rows/s of each of the two lines),
SOAK_JSON; exit code 0 only if no process grew and nothing was lost or doubled.

Two whole lines, each a `vigia run`, on one Kafka and one MQTT broker. Of the first no process is
ever killed but its second worker, of the second every room is, again and again; both suffer what
becomes of the brokers, the cameras and the messages. What is compared is a process with itself:
the minute in the middle of which it was 5 minutes old, and its last one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from broker.kafka_local import LocalKafka
from broker.loopback import free_port
from tests.asked import asked
from tests.chaos.feed import messages
from tests.chaos.site import Sensors
from tests.integration.edge_world import Publisher
from tests.processes.mosquitto import Mosquitto, find_mosquitto
from tests.processes.rtsp import RtspServer, rtsp_is_here
from tests.soak.books import Books
from tests.soak.box import Box
from tests.soak.faults import ENDING, World, plan, strike
from tests.soak.growth import EQUIPMENT, Life, lives
from tests.soak.plant import Sources, write_clips, write_soak_plant
from tests.soak.samples import Sample, sample
from tests.soak.table import table

ASSETS = 50
SAMPLE_S = 5.0
_CHILDREN = {"mosquitto": "mosquitto", "python3": "cameras"}


@dataclass(frozen=True)
class Settings:
    """What is asked for."""

    seed: int = 1
    seconds: int = 1800
    rate: int = 500


@dataclass
class Soak:
    """One run. `samples` are of every process of both lines, and of what they depend on."""

    settings: Settings
    world: World
    sensors: dict[str, Sensors]
    books: dict[str, Books]
    samples: list[Sample] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    began: float = 0.0

    async def run(self) -> None:
        """Until the time is over."""
        self.began = time.monotonic()
        for sensors in self.sensors.values():
            sensors.start()
        hurting = asyncio.create_task(self._hurt())
        while self.now < self.settings.seconds:
            await asyncio.to_thread(self._look)
            if hurting.done():
                hurting.result()
            await asyncio.sleep(SAMPLE_S - self.now % SAMPLE_S)
        await hurting

    @property
    def now(self) -> float:
        """Seconds since the sensors began."""
        return time.monotonic() - self.began

    def _look(self) -> None:
        at_s = self.now
        for name, pid in self._pids():
            one = sample(at_s, name, pid)
            if one is not None:
                self.samples.append(one)
        for box in (self.world.kept, self.world.hurt):
            box.scrape()

    def _pids(self) -> Iterator[tuple[str, int]]:
        for box in (self.world.kept, self.world.hurt):
            for name, pid in box.pids().items():
                yield f"{box.name} {name}", pid
        if self.world.kafka.pid is not None:
            yield "kafka", self.world.kafka.pid
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                if child.name() in _CHILDREN:
                    yield _CHILDREN[child.name()], child.pid

    async def _hurt(self) -> None:
        r = np.random.default_rng([self.settings.seed, 98])
        for at_s, kind in plan(self.settings.seed, self.settings.seconds):
            await asyncio.sleep(max(0.0, at_s - self.now))
            began_s = round(self.now, 1)
            self.faults.append({"at_s": began_s, **await strike(self.world, kind, r)})
            print(json.dumps(self.faults[-1]), file=sys.stderr, flush=True)


def main() -> int:
    # While Kafka is away it says so many times a second.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    settings = asked(Settings, "SOAK")
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    with _world(folder, settings) as world:
        found = asyncio.run(soak(settings, world))
    print(found.pop("table"))
    text = json.dumps(found, indent=2)
    print(json.dumps({name: found[name] for name in found if name not in ("lives", "faults")}))
    if path := os.environ.get("SOAK_JSON"):
        Path(path).write_text(text)
    if found["holds"]:
        shutil.rmtree(folder)
        return 0
    print(f"logs: {folder}", file=sys.stderr)
    return 1


@contextmanager
def _world(folder: Path, settings: Settings) -> Iterator[World]:
    program = find_mosquitto()
    if program is None or not rtsp_is_here():
        raise SystemExit("soak: no Mosquitto or no RTSP server; as root `make test` installs them")
    with ExitStack() as stack:
        kafka = stack.enter_context(LocalKafka(folder / "kafka"))
        mosquitto = stack.enter_context(Mosquitto(program, folder / "mosquitto"))
        cameras = RtspServer(folder, free_port())
        cameras.clips = write_clips(folder / "clips", settings.seed)
        cameras.start()
        stack.callback(cameras.kill)
        sources = Sources(mosquitto.port, cameras.url("belt"), cameras.url("tank"))
        boxes = []
        for first, prefix in enumerate(("kept", "hurt")):
            (folder / prefix).mkdir()
            plant = write_soak_plant(folder / prefix, _assets(first), prefix, sources)
            boxes.append(Box(prefix, plant, 2 - first, kafka.bootstrap, terminal=not first))
        device = Publisher(mosquitto.port)
        stack.callback(device.close)
        kept, hurt = boxes
        for box in boxes:
            stack.callback(box.stop)
        yield World(kept, hurt, kafka, mosquitto, cameras, device, _assets(0) + _assets(1))


def _assets(line: int) -> list[str]:
    return [f"chaos/a{line * 100 + number:03d}" for number in range(ASSETS)]


async def soak(settings: Settings, world: World) -> dict[str, Any]:
    """Starts both lines, hurts them, and says what came of it."""
    boxes = (world.kept, world.hurt)
    for box in boxes:
        box.start()
        await box.ready()
    books = {box.name: Books.of(box.kafka, box.name, box.plant) for box in boxes}
    following = [asyncio.create_task(one.follow()) for one in books.values()]
    await asyncio.sleep(10)
    sensors = {}
    for number, name in enumerate(books):
        feed = messages(settings.seed + number, _assets(number), settings.rate * settings.seconds)
        sensors[name] = Sensors(world.mosquitto.port, feed, settings.rate)
    one = Soak(settings, world, sensors, books)
    await one.run()
    found = await _close(one)
    for task in following:
        task.cancel()
    return found


async def _close(one: Soak) -> dict[str, Any]:
    while not all(sensors.ended for sensors in one.sensors.values()):
        await asyncio.sleep(1)
    books = {}
    for name, book in one.books.items():
        books[name] = await book.close(one.sensors[name].sent)
        one.sensors[name].close()
    found = lives(one.samples, one.settings.seconds)
    ended, never = _ended(found, one.faults), _never_compared(found)
    grew = [life.name for life in found if not life.holds()]
    return {
        "seed": one.settings.seed,
        "seconds": one.settings.seconds,
        "faults": one.faults,
        "books": books,
        "lives": [asdict(life) | {"holds": life.holds()} for life in found],
        "grew": grew,
        "ended_by_themselves": ended,
        "never_compared": never,
        "table": table(found),
        "holds": all(map(_balanced, books.values())) and not (grew or ended or never),
    }


def _ended(found: list[Life], faults: list[dict[str, Any]]) -> dict[str, int]:
    """How much more often than it was ended each process began again."""
    begun = Counter(life.name for life in found)
    ends = Counter(fault["process"] for fault in faults if fault["kind"] in ENDING)
    return {name: n for name, begins in begun.items() if (n := begins - 1 - ends[name]) > 0}


def _never_compared(found: list[Life]) -> list[str]:
    """Processes of which no life was long enough."""
    compared = {life.name for life in found if life.growth is not None}
    return sorted({life.name for life in found} - compared - set(EQUIPMENT))


def _balanced(books: dict[str, Any]) -> bool:
    wrong = ("rows_lost", "windows_missing", "windows_too_many", "duplicates", "unaccounted")
    return not any(books[name] for name in wrong)


if __name__ == "__main__":
    sys.exit(main())
