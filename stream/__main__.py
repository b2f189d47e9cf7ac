"""`vigia stream worker`: the composition root of the stream."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from broker.producer import Producer
from broker.status import Figures, StatusPublisher
from contracts.errors import ConfigError, VigiaError
from contracts.plant import Plant, read_plant
from contracts.plant.detectors import Autoencoder, Vision
from contracts.topics import AGGREGATES, ALARMS, DETECTIONS, FRAMES, READINGS, topic_name
from stream.adapters.alarm_agent import AlarmAgent, CompactedAlarms
from stream.adapters.detect_agent import PANES_PART_BYTES, DetectAgent
from stream.adapters.faust_log import FaustLog
from stream.adapters.frame_agent import FrameAgent
from stream.adapters.frame_model import FrameModel, watched
from stream.adapters.memory import MemoryBound
from stream.adapters.model_faults import ModelFaults
from stream.adapters.onnx_image import ImagePackage, load_image_package
from stream.adapters.onnx_package import load_package
from stream.core.alarms import Alarms
from stream.core.autoencoder import AutoencoderDetector
from stream.core.detect import Detect
from stream.core.detectors import Detector
from stream.core.rules import rule
from stream.core.tank_gauge import TankGauge
from stream.core.vision import VisionRule
from stream.ports import Agent, Log

log = logging.getLogger("stream")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64_000_000
_GOODBYE_S = 0.5


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
def worker(plant_file: Path, kafka: str | None, instance: str | None, threads: int) -> None:
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
        plant = read_plant(_read(plant_file), str(plant_file))
        bootstrap = kafka or plant.kafka.bootstrap
        if bootstrap is None:
            raise ConfigError("no Kafka is named: give --kafka HOST:PORT or kafka.bootstrap")
        faults = ModelFaults(now_us)
        images = load_images(plant, plant_file.parent, threads)
        detectors = build_detectors(plant, plant_file.parent, threads, images, faults)
        # What the libraries have made by now stays: a full collection would hold up the work for
        # 50 ms to look at it again.
        gc.freeze()
    except VigiaError as error:
        _fail(error)
    models = Models(detectors, images, faults)
    asyncio.run(_and_end(run(plant, models, bootstrap, f"stream/{name}")))


async def _and_end(work: Coroutine[Any, Any, None]) -> NoReturn:
    """Ends the process with `work`: nothing waits for a thread in which a model is still busy."""
    try:
        await work
    except VigiaError as error:
        _fail(error)
    _end(0)


def _keep_memory() -> None:
    """Blocks of windows are a megabyte and come and go. By itself the C library gives each back to
    the kernel, which makes it anew, page by page: a tenth of all that a step takes."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES // 2)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _fail(error: VigiaError) -> NoReturn:
    click.echo(f"vigia: {error}", err=True)
    _end(1 if error.retriable else 2)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error


def _end(code: int) -> NoReturn:
    # Faust's threads may wait for a broker that is away: nothing is left to do for them.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@dataclass(frozen=True, slots=True)
class Models:
    """What a worker decides by, and what its models failed at."""

    detectors: Mapping[str, Detector]
    images: Mapping[str, ImagePackage]
    faults: ModelFaults


def build_detectors(
    plant: Plant,
    folder: Path,
    threads: int,
    images: Mapping[str, ImagePackage] | None = None,
    faults: ModelFaults | None = None,
) -> Mapping[str, Detector]:
    """What runs each detector of the plant file. Raises ModelError for a package that is refused,
    or that was not fitted for an asset it shall watch."""
    detectors: dict[str, Detector] = {}
    images = load_images(plant, folder, threads) if images is None else images
    faults = ModelFaults(now_us) if faults is None else faults
    for section in plant.detectors:
        found = rule(section)
        if isinstance(section, Autoencoder):
            package = load_package(folder / section.package, threads=threads)
            assets = [a for a in plant.assets() if section in plant.detectors_of(a)]
            package.manifest.scaler(tuple(assets))
            score = faults.telling(section.id, package.score)
            found = AutoencoderDetector(section, package.manifest, score)
        if isinstance(section, Vision):
            found = VisionRule(section, images[section.package].manifest)
        assert found is not None
        detectors[section.id] = found
    return detectors


def load_images(plant: Plant, folder: Path, threads: int) -> dict[str, ImagePackage]:
    """The packages of the plant's vision detectors, each loaded once. Raises ModelError."""
    names = {one.package for one in plant.detectors if isinstance(one, Vision)}
    return {name: load_image_package(folder / name, threads=threads) for name in sorted(names)}


async def run(
    plant: Plant,
    models: Models,
    bootstrap: str,
    process: str,
) -> None:
    """Works until SIGTERM or SIGINT. Raises BrokerError when the log cannot go on, MemoryExceeded
    when the process is too large."""
    producer = Producer(bootstrap, client_id=process.replace("/", "-"))
    log.info("waiting for Kafka at %s", bootstrap)
    await producer.start()
    log.info("Kafka answers")
    prefix = plant.kafka.prefix
    detect = DetectAgent(Detect(plant, models.detectors), producer, plant.kafka, process, now_us)
    store = CompactedAlarms(bootstrap, topic_name(ALARMS, prefix))
    alarm = AlarmAgent(Alarms(plant), producer, store, plant.kafka, process, now_us)
    faust: Log = FaustLog(bootstrap, f"{prefix}-stream", client_id=process.replace("/", "-"))
    faust.subscribe(topic_name(READINGS, prefix), detect)
    faust.subscribe(topic_name(DETECTIONS, prefix), alarm)
    agents: list[Agent] = [detect, alarm]
    if plant.panes():
        of_panes = Detect(plant, models.detectors, of_panes=True)
        latency, part = detect.latency, PANES_PART_BYTES
        panes = DetectAgent(of_panes, producer, plant.kafka, process, now_us, latency, part)
        agents.append(panes)
        faust.subscribe(topic_name(AGGREGATES, prefix), panes)
    if plant.cameras():
        agents.append(_frames(plant, models, producer, process))
        faust.subscribe(topic_name(FRAMES, prefix), agents[-1])
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: loop.create_task(faust.stop()))

    def figures() -> Figures:
        return _figures(detect, alarm, agents, models.faults)

    status = StatusPublisher(producer, process, figures, prefix=prefix)
    saying = asyncio.create_task(status.run())
    try:
        await _within(MemoryBound(plant.stream.memory_bytes), faust)
    finally:
        saying.cancel()
        await status.last()
        # What Kafka does not take now was not committed: it is made again.
        await producer.stop(_GOODBYE_S)


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


def _frames(plant: Plant, models: Models, producer: Producer, process: str) -> FrameAgent:
    eyes = {}
    for one in plant.detectors:
        if isinstance(one, Vision):
            package = models.images[one.package]
            score = models.faults.telling(one.id, package.score)
            eyes[one.id] = FrameModel(package.manifest, score, one.factor)
    return FrameAgent(watched(plant, eyes, TankGauge()), producer, plant.kafka, process)


def _figures(
    detect: DetectAgent, alarm: AlarmAgent, agents: Sequence[Agent], faults: ModelFaults
) -> Figures:
    latencies = {
        "detection": detect.latency.histogram(),
        "alert": alarm.latency.histogram(),
    }
    accounts = {name: one for agent in agents for name, one in agent.accounts().items()}
    return Figures(accounts, latencies=latencies, notes=faults.notes())


if __name__ == "__main__":
    cli()
