"""`vigia stream worker`: the composition root of the stream."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from broker.aside import aside
from broker.cluster import Cluster, Where
from broker.health_file import HealthFile, health_option
from broker.heap import settle
from broker.plant_disk import PlantDisk
from broker.plant_kept import Begun, state_option
from broker.plant_watch import PlantWatcher, look_option
from broker.producer import Producer
from broker.status import Figures, Latency, StatusPublisher
from contracts.errors import VigiaError
from contracts.findings import Finding
from contracts.plant import Plant
from contracts.plant.detectors import Autoencoder, Vision
from contracts.topics import (
    AGGREGATES,
    ALARMS,
    ALERTS,
    DETECTIONS,
    FRAMES,
    READINGS,
    Topic,
    topic_name,
)
from stream.adapters.alarm_agent import AlarmAgent, CompactedAlarms
from stream.adapters.decided_log import DecidedLog, looked_at
from stream.adapters.detect_agent import PANES_PART_BYTES, PART_BYTES, DetectAgent
from stream.adapters.equipment import Equipment, Workshop
from stream.adapters.faust_log import FaustLog
from stream.adapters.frame_agent import FrameAgent
from stream.adapters.memory import MemoryBound
from stream.adapters.model_faults import ModelFaults
from stream.core.alarms import Alarms
from stream.core.detect import Detect
from stream.ports import Agent, Log

log = logging.getLogger("stream")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_BYTES, _ARENAS = 64_000_000, 2
_GOODBYE_S = 0.5
_LOAD_S = 60.0
SENT = (DETECTIONS, AGGREGATES, READINGS, ALERTS, ALARMS)
"""Where a worker writes, but for dead letters."""


def now_us() -> int:
    """The wall clock."""
    return time.time_ns() // 1000


@click.group(name="stream")
def cli() -> None:
    """Readings to detections to alarms."""


@cli.command()
@click.option("--plant", "plant_file", required=True, type=click.Path(path_type=Path))
@click.option("--kafka", default=None, help="HOST:PORT; default: the plant file's bootstrap")
@click.option("--instance", default=None, help="this worker's name; default: host and process")
@click.option("--threads", default=1, show_default=True, help="threads of a model")
@state_option
@health_option
@look_option
def worker(
    plant_file: Path,
    kafka: str | None,
    instance: str | None,
    threads: int,
    state: Path | None,
    health_file: Path | None,
    look: float,
) -> None:
    """One worker of the consumer group. Start more for more partitions."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("faust").setLevel(logging.WARNING)
    # While Kafka is away it says so ten times a second; we say it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    name = instance or f"{socket.gethostname()}-{os.getpid()}"
    # Decoding gives the interpreter's lock away many times a message, and waits up to this long
    # to get it back from the event loop.
    sys.setswitchinterval(0.0005)
    _keep_memory()
    try:
        workshop = Workshop(threads, ModelFaults(now_us))
        begun, equipment = Begun.of(PlantDisk(plant_file, models=True), state, workshop.equip)
        bootstrap = Cluster.of(begun.plant.kafka, "stream", kafka)
        settle()
        process = f"stream/{name}"
        running = run(equipment, workshop, bootstrap, process, begun, look, health_file)
        # Its models are freed when others take their place.
        del equipment
    except VigiaError as error:
        _fail(error)
    asyncio.run(_and_end(running))


async def probe(plant_file: Path, plant: Plant) -> list[Finding]:
    """Whether each model package loads, and fits what it shall watch."""
    sections = [one for one in plant.detectors if isinstance(one, Autoencoder | Vision)]
    if not sections:
        return []
    found = PlantDisk(plant_file, models=True).first
    workshop = Workshop(1, ModelFaults(now_us))

    def look(section: Autoencoder | Vision) -> Finding:
        where = f"{section.id} {section.package}"
        try:
            name = workshop.try_out(section, plant, found)
        except VigiaError as error:
            return Finding("model", where, "refused", {"why": str(error)})
        return Finding("model", where, "loads", {"name": name})

    async def within(section: Autoencoder | Vision) -> Finding:
        late = Finding("model", f"{section.id} {section.package}", "late", {"seconds": _LOAD_S})
        return await aside(partial(look, section), _LOAD_S) or late

    return list(await asyncio.gather(*map(within, sections)))


async def _and_end(work: Coroutine[Any, Any, None]) -> NoReturn:
    """Ends the process with `work`: nothing waits for a thread in which a model is still busy."""
    try:
        await work
    except VigiaError as error:
        _fail(error)
    _end(0)


def _keep_memory() -> None:
    """Blocks of windows are a megabyte and come and go. By itself the C library gives each back to
    the kernel, which makes it anew, page by page: a tenth of all that a step takes. And each of its
    threads would get a heap of its own, in which what others have freed is of no use."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES // 2)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _fail(error: VigiaError) -> NoReturn:
    click.echo(f"vigia: {error}", err=True)
    _end(1 if error.retriable else 2)


def _end(code: int) -> NoReturn:
    # Faust's threads may wait for a broker that is away: nothing is left to do for them.
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


async def run(
    equipment: Equipment,
    workshop: Workshop,
    bootstrap: Where,
    process: str,
    begun: Begun,
    look_s: float,
    health_file: Path | None = None,
) -> None:
    """Works until SIGTERM or SIGINT, by the plant file and models that are on disk, looked at every
    `look_s`. Raises BrokerError when the log cannot go on, MemoryExceeded when the process is too
    large."""
    work = Work(equipment, workshop, bootstrap, process)
    del equipment
    log.info("waiting for Kafka at %s", bootstrap)
    await work.producer.start()
    log.info("Kafka answers")
    await work.producer.learn(topic_name(topic, begun.plant.kafka.prefix) for topic in SENT)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: loop.create_task(work.log.stop()))
    watcher = PlantWatcher(begun, workshop.equip, work.take_up, look_s)
    prefix = begun.plant.kafka.prefix
    status = StatusPublisher(work.producer, process, lambda: work.figures(watcher), prefix=prefix)
    # What lives and does not read ends by itself (stream.adapters.guard).
    health = HealthFile(health_file, process, lambda: None)
    parts = (_within(work.bound, work.log), watcher.run(), status.run(), health.run())
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await status.last()
        # What Kafka does not take now was not committed: it is made again.
        await work.producer.stop(_GOODBYE_S)


async def _within(bound: MemoryBound, faust: Log) -> None:
    """Works until the log is stopped, or the process is too large: then it leaves in order, with
    all that is finished committed, and raises MemoryExceeded."""
    watching = asyncio.create_task(bound.watch())
    working = asyncio.create_task(faust.run())
    await asyncio.wait((watching, working), return_when=asyncio.FIRST_COMPLETED)
    if watching.done():
        await faust.stop()
    await working
    if watching.done():
        watching.result()
    watching.cancel()


class Work:
    """The agents of a worker, on the log of its plant. All four topics are read from the start on:
    a plant file that comes later may have the first camera, or the first panes."""

    def __init__(
        self, equipment: Equipment, workshop: Workshop, bootstrap: Where, process: str
    ) -> None:
        kafka, client = equipment.plant.kafka, process.replace("/", "-")
        self.producer = Producer(bootstrap, client_id=client)
        self.log: Log = FaustLog(bootstrap, f"{kafka.prefix}-stream", client_id=client)
        self.bound = MemoryBound(equipment.plant.stream.memory_bytes)
        self._workshop = workshop
        self._decided = DecidedLog(bootstrap, topic_name(DETECTIONS, kafka.prefix))
        self._latency = Latency()
        self._rows = self._detecting(equipment, process, of_panes=False)
        self._panes = self._detecting(equipment, process, of_panes=True)
        store = CompactedAlarms(bootstrap, topic_name(ALARMS, kafka.prefix))
        alarms = Alarms(equipment.plant)
        self._alarms = AlarmAgent(alarms, self.producer, store, kafka, process, now_us)
        self._frames = FrameAgent(equipment.watched, self.producer, kafka, process)
        agents: dict[Topic, Agent] = {READINGS: self._rows, DETECTIONS: self._alarms}
        agents |= {AGGREGATES: self._panes, FRAMES: self._frames}
        for topic, agent in agents.items():
            self.log.subscribe(topic_name(topic, kafka.prefix), agent)
        self._use(equipment)

    def _detecting(self, equipment: Equipment, process: str, *, of_panes: bool) -> DetectAgent:
        plant = equipment.plant
        return DetectAgent(
            Detect(plant, equipment.detectors, of_panes=of_panes),
            self.producer,
            plant.kafka,
            process,
            now_us,
            decided=self._decided,
            latency=self._latency,
            part_bytes=PANES_PART_BYTES if of_panes else PART_BYTES,
        )

    def _use(self, equipment: Equipment) -> None:
        plant = equipment.plant
        self.bound.limit_bytes = plant.stream.memory_bytes
        self._workshop.in_use = equipment.loaded
        self._decided.wanted = looked_at(plant)
        self._frames.watched = equipment.watched
        self._shown: list[Agent] = [self._rows, self._alarms]
        self._shown += [self._panes] if plant.panes() else []
        self._shown += [self._frames] if plant.cameras() else []

    async def take_up(self, equipment: Equipment) -> None:
        """Goes on with other equipment, between two steps. Returns when it is in use."""

        def apply() -> None:
            for detecting in (self._rows, self._panes):
                detecting.detect.become(equipment.plant, equipment.detectors)
            self._alarms.alarms.become(equipment.plant)
            self._use(equipment)

        await self.log.anew(apply)

    def figures(self, watcher: PlantWatcher[Equipment]) -> Figures:
        """How the worker does."""
        latencies = {
            "detection": self._latency.histogram(),
            "alert": self._alarms.latency.histogram(),
        }
        accounts = {name: one for agent in self._shown for name, one in agent.accounts().items()}
        accounts |= self.log.accounts()
        notes = (*watcher.notes(), *self._workshop.faults.notes())
        return Figures(accounts, latencies=latencies, notes=notes, plant=watcher.use())


if __name__ == "__main__":
    cli()
