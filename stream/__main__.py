"""`vigia stream worker`: the composition root of the stream."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click

from broker.producer import Producer
from broker.status import Figures, StatusPublisher
from contracts.errors import ConfigError, VigiaError
from contracts.plant import Plant, read_plant
from contracts.plant.detectors import Autoencoder
from contracts.topics import ALARMS, DETECTIONS, READINGS, topic_name
from stream.adapters.alarm_agent import AlarmAgent, CompactedAlarms
from stream.adapters.detect_agent import DetectAgent
from stream.adapters.faust_log import FaustLog
from stream.adapters.onnx_package import load_package
from stream.core.alarms import Alarms
from stream.core.autoencoder import AutoencoderDetector
from stream.core.detect import Detect
from stream.core.detectors import Detector
from stream.core.rules import rule
from stream.ports import Log

log = logging.getLogger("stream")


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
    try:
        plant = read_plant(_read(plant_file), str(plant_file))
        bootstrap = kafka or plant.kafka.bootstrap
        if bootstrap is None:
            raise ConfigError("no Kafka is named: give --kafka HOST:PORT or kafka.bootstrap")
        detectors = build_detectors(plant, plant_file.parent, threads)
        # What the libraries have made by now stays: a full collection would hold up the work for
        # 50 ms to look at it again.
        gc.freeze()
        asyncio.run(run(plant, detectors, bootstrap, f"stream/{name}"))
    except VigiaError as error:
        click.echo(f"vigia: {error}", err=True)
        _end(1 if error.retriable else 2)
    _end(0)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error


def _end(code: int) -> NoReturn:
    # Faust's threads may wait for a broker that is away: nothing is left to do for them.
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


def build_detectors(plant: Plant, folder: Path, threads: int) -> Mapping[str, Detector]:
    """What runs each detector of the plant file. Raises ModelError for a package that is refused,
    or that was not fitted for an asset it shall watch."""
    detectors: dict[str, Detector] = {}
    for section in plant.detectors:
        found = rule(section)
        if isinstance(section, Autoencoder):
            package = load_package(folder / section.package, threads=threads)
            watched = [a for a in plant.assets() if section in plant.detectors_of(a)]
            package.manifest.scaler(tuple(watched))
            found = AutoencoderDetector(section, package.manifest, package.score)
        assert found is not None
        detectors[section.id] = found
    return detectors


async def run(
    plant: Plant, detectors: Mapping[str, Detector], bootstrap: str, process: str
) -> None:
    """Works until SIGTERM or SIGINT. Raises BrokerError when the log cannot go on."""
    producer = Producer(bootstrap, client_id=process.replace("/", "-"))
    log.info("waiting for Kafka at %s", bootstrap)
    await producer.start()
    log.info("Kafka answers")
    prefix = plant.kafka.prefix
    detect = DetectAgent(Detect(plant, detectors), producer, plant.kafka, process, now_us)
    store = CompactedAlarms(bootstrap, topic_name(ALARMS, prefix))
    alarm = AlarmAgent(Alarms(plant), producer, store, plant.kafka, process, now_us)
    faust: Log = FaustLog(bootstrap, f"{prefix}-stream", client_id=process.replace("/", "-"))
    faust.subscribe(topic_name(READINGS, prefix), detect)
    faust.subscribe(topic_name(DETECTIONS, prefix), alarm)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: loop.create_task(faust.stop()))
    status = StatusPublisher(producer, process, lambda: _figures(detect, alarm), prefix=prefix)
    saying = asyncio.create_task(status.run())
    try:
        await faust.run()
    finally:
        saying.cancel()
        await status.last()
        await producer.stop()


def _figures(detect: DetectAgent, alarm: AlarmAgent) -> Figures:
    latencies = {
        "detection": detect.latency.histogram(),
        "alert": alarm.latency.histogram(),
    }
    return Figures({**detect.accounts(), **alarm.accounts()}, latencies=latencies)


if __name__ == "__main__":
    cli()
