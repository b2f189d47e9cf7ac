"""`vigia edge`: the agent of a site."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from broker.producer import Producer
from broker.status import Figures, StatusPublisher
from contracts.errors import ConfigError, VigiaError
from contracts.plant import Plant, read_plant
from contracts.plant.cameras import Camera
from contracts.plant.model import SignalSet
from edge.adapters.agent import Agent, now_us, together
from edge.adapters.camera_agent import CameraAgent, sources_in
from edge.adapters.frame_kafka import KafkaFrames
from edge.adapters.kafka import KafkaLog
from edge.adapters.mqtt import MqttSource
from edge.adapters.sight_files import SightFiles
from edge.core.intake import Intake
from edge.core.routes import assets_of, cameras_of

T = TypeVar("T")
MESSAGE_LIMIT = 20_000
_DRAIN_S = 1.0
_LAST_WORD_S = 0.7
_GOODBYE_S = 0.3
_log = logging.getLogger(__name__)


@click.group(name="edge")
def cli() -> None:
    """The edge agent: sensors in, rows of readings out to Kafka."""


@cli.command()
@click.option("--plant", "plant_file", required=True, type=click.Path(path_type=Path))
@click.option("--kafka", metavar="HOST:PORT", help="default: the plant's kafka.bootstrap")
@click.option("--mqtt", metavar="HOST:PORT", help="default: the plant's mqtt section")
@click.option("--site", help="serve the assets of this site only; default: all")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="folder for what is normal for each camera; default: it is learned anew at each start",
)
@click.option("--instance", help="name of this agent; default: the host's name")
def run(
    plant_file: Path,
    kafka: str | None,
    mqtt: str | None,
    site: str | None,
    state: Path | None,
    instance: str | None,
) -> None:
    """Reads the plant's MQTT topics and writes rows to Kafka, until SIGTERM or SIGINT."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s edge %(levelname)s %(message)s"
    )
    # While Kafka is away it says so five times a second; the agent says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        plant = _with_mqtt(_read(plant_file), mqtt)
        bootstrap = kafka or plant.kafka.bootstrap
        if bootstrap is None:
            raise ConfigError("no Kafka: give --kafka HOST:PORT or kafka.bootstrap in the plant")
        edge = _Edge(plant, plant_file.parent, bootstrap, site, f"edge/{_name(instance)}", state)
        asyncio.run(edge.serve())
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except VigiaError as error:
        click.echo(f"edge: {error}", err=True)
        sys.exit(1)


def _read(file: Path) -> Plant:
    try:
        return read_plant(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error


def _with_mqtt(plant: Plant, address: str | None) -> Plant:
    if address is None:
        return plant
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ConfigError(f"--mqtt: expected HOST:PORT, got {address!r}")
    mqtt = plant.mqtt.model_copy(update={"host": host, "port": int(port)})
    return plant.model_copy(update={"mqtt": mqtt})


def _name(instance: str | None) -> str:
    return instance or socket.gethostname()


class _Part(Protocol):
    """The sensors of a site at work, or its cameras."""

    async def run(self) -> None: ...

    async def drain(self, patience_s: float) -> None: ...

    def figures(self) -> Figures: ...


@dataclass(frozen=True, slots=True)
class _Edge:
    """The agent of the sites of a plant file, which lies in `folder`; or of one site. What it
    learns of cameras is kept in `state`."""

    plant: Plant
    folder: Path
    bootstrap: str
    site: str | None
    process: str
    state: Path | None

    async def serve(self) -> None:
        """Works until SIGTERM or SIGINT. Raises VigiaError."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        _log.info("%s: Kafka at %s", self.process, self.bootstrap)
        producer = self._producer("")
        # Frames are large: readings must not wait behind them.
        carrier = self._producer("-frames")
        try:
            parts = await _unless(stop, self._prepare(producer, carrier))
            if parts is not None:
                status = self._status(producer, parts)
                await _work(parts, status, stop)
        finally:
            await asyncio.gather(producer.stop(_GOODBYE_S), carrier.stop(_GOODBYE_S))

    def _producer(self, suffix: str) -> Producer:
        return Producer(self.bootstrap, client_id=self.process.replace("/", "-") + suffix)

    def _status(self, producer: Producer, parts: Sequence[_Part]) -> StatusPublisher:
        def figures() -> Figures:
            return together([part.figures() for part in parts])

        prefix = self.plant.kafka.prefix
        return StatusPublisher(producer, self.process, figures, prefix=prefix)

    async def _prepare(self, producer: Producer, carrier: Producer) -> list[_Part]:
        assets, cameras = assets_of(self.plant, self.site), cameras_of(self.plant, self.site)
        if not assets and not cameras:
            raise ConfigError(f"--site: the plant has no site {self.site!r}")
        await producer.start()
        parts: list[_Part] = []
        if assets:
            parts.append(await self._sensors(assets, producer))
        if cameras:
            await carrier.start()
            parts.append(await self._cameras(cameras, carrier))
        return parts

    async def _sensors(self, assets: dict[str, SignalSet], producer: Producer) -> Agent:
        prefix = self.plant.kafka.prefix
        log = KafkaLog(producer, bootstrap=self.bootstrap, prefix=prefix, process=self.process)
        places = await log.places(tuple(assets))
        _log.info("%d assets, %d of them known to Kafka", len(assets), len(places))
        intake = Intake(assets, places, now_us=now_us(), limit=MESSAGE_LIMIT)
        return Agent(intake, MqttSource(self.plant.mqtt, limit=MESSAGE_LIMIT), log)

    async def _cameras(self, cameras: dict[str, Camera], carrier: Producer) -> CameraAgent:
        prefix = self.plant.kafka.prefix
        log = KafkaFrames(carrier, bootstrap=self.bootstrap, prefix=prefix, process=self.process)
        places = await log.places(tuple(cameras))
        _log.info("%d cameras, %d of them known to Kafka", len(cameras), len(places))
        source_of, develop = sources_in(self.folder)
        files = SightFiles(self.state)
        return CameraAgent(cameras, places, log, source_of, develop, files)


async def _work(parts: Sequence[_Part], status: StatusPublisher, stop: asyncio.Event) -> None:
    running = [asyncio.create_task(part.run()) for part in parts]
    telling = asyncio.create_task(status.run())
    try:
        ended = asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        if await _unless(stop, ended) is None:
            _log.info("stopping")
            await asyncio.gather(*(part.drain(_DRAIN_S) for part in parts))
        telling.cancel()
        await status.last(_LAST_WORD_S)
    finally:
        for task in (telling, *running):
            task.cancel()
        await asyncio.wait((telling, *running))
    for task in running:
        if not task.cancelled():
            _raise_first(task.exception())


async def _unless(stop: asyncio.Event, doing: Coroutine[Any, Any, T]) -> T | None:
    """What `doing` gives, or None when `stop` comes first."""
    task = asyncio.ensure_future(doing)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait((task,))
    return None


def _raise_first(error: BaseException | None) -> None:
    """Raises what ended the agent, out of the group of its tasks."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        raise error


if __name__ == "__main__":
    cli(prog_name="edge")
