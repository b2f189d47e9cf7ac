"""`vigia edge`: the agent of a site."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from broker.producer import Producer
from broker.status import Figures, StatusPublisher
from contracts.errors import ConfigError, SpoolError, SpoolTaken, VigiaError
from contracts.plant import Plant, read_plant
from contracts.plant.cameras import Camera
from contracts.plant.model import SignalSet
from edge.adapters.agent import Agent, now_us, together
from edge.adapters.camera_agent import CameraAgent, sources_in
from edge.adapters.disk import Claim, DiskSpool
from edge.adapters.frame_kafka import KafkaFrames
from edge.adapters.kafka import KafkaLog
from edge.adapters.keeper import Keeper, Ways
from edge.adapters.mqtt import MqttSource
from edge.adapters.shelf import Shelf
from edge.adapters.sight_files import SightFiles
from edge.adapters.spooled import SpooledFrames, SpooledReadings
from edge.core.backlog import Backlog
from edge.core.batches import Place
from edge.core.intake import Intake
from edge.core.routes import assets_of, cameras_of
from edge.ports import FrameLog

T = TypeVar("T")
L = TypeVar("L", KafkaLog, KafkaFrames)
SPOOL_FOLDER = Path(".vigia/spool")
_MEET_S = 3.0
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
@click.option(
    "--instance",
    help="name of this agent, by which it finds what it kept on disk; default: the host's name",
)
@click.option(
    "--spool",
    type=click.Path(file_okay=False, path_type=Path),
    help="folder for what Kafka does not take; default: the plant's spool.folder, or .vigia/spool",
)
def run(
    plant_file: Path,
    kafka: str | None,
    mqtt: str | None,
    site: str | None,
    state: Path | None,
    instance: str | None,
    spool: Path | None,
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
        name = _name(instance)
        kept = _spool_folder(plant, plant_file, spool) / f"{plant.kafka.prefix}-{name}"
        edge = _Edge(plant, plant_file.parent, bootstrap, site, f"edge/{name}", kept, state)
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


def _spool_folder(plant: Plant, plant_file: Path, wanted: Path | None) -> Path:
    if wanted is not None:
        return wanted
    named = plant.spool.folder
    return plant_file.parent / named if named is not None else SPOOL_FOLDER


class _Part(Protocol):
    """The sensors of a site at work, or its cameras; or what keeps either on disk."""

    async def run(self) -> None: ...

    async def drain(self, patience_s: float) -> None: ...

    def figures(self) -> Figures: ...


@dataclass(frozen=True, slots=True)
class _Kafka:
    """`live` carries readings as they come; `patient` what they must not wait for: frames, which
    are large, and what comes from the disk. `there` is done when both are connected."""

    live: Producer
    patient: Producer
    there: asyncio.Task[None]

    async def ask(self, log: KafkaLog | KafkaFrames, assets: Collection[str]) -> dict[str, Place]:
        """Where the streams stand, once Kafka says so."""
        await asyncio.shield(self.there)
        return await log.places(tuple(assets))

    async def stop(self) -> None:
        """Ends both."""
        self.there.cancel()
        await asyncio.gather(self.there, return_exceptions=True)
        await asyncio.gather(self.live.stop(_GOODBYE_S), self.patient.stop(_GOODBYE_S))


@dataclass(frozen=True, slots=True)
class _Edge:
    """The agent of the sites of a plant file, which lies in `folder`; or of one site. `spool` is
    the folder of its own for what is kept on disk; what it learns of cameras is kept in `state`."""

    plant: Plant
    folder: Path
    bootstrap: str
    site: str | None
    process: str
    spool: Path
    state: Path | None

    async def serve(self) -> None:
        """Works until SIGTERM or SIGINT. Raises VigiaError."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        _log.info("%s: Kafka at %s", self.process, self.bootstrap)
        kafka = self._kafka()
        keepers: list[Keeper] = []
        claim = self._claim()
        try:
            parts = await _unless(stop, self._prepare(kafka, keepers))
            if parts is not None:
                # What there is by now stays. Every ten seconds or so a full collection would look
                # at it again, and all messages wait for 80 ms.
                gc.freeze()
                status = self._status(kafka.live, [*parts, *keepers])
                await _work([*keepers, *parts], status, kafka.there, stop)
        finally:
            await asyncio.gather(*(keeper.close() for keeper in keepers))
            await kafka.stop()
            if claim is not None:
                claim.release()

    def _kafka(self) -> _Kafka:
        name = self.process.replace("/", "-")
        live = Producer(self.bootstrap, client_id=name)
        patient = Producer(self.bootstrap, client_id=f"{name}-frames")

        async def connect() -> None:
            await asyncio.gather(live.start(), patient.start())

        return _Kafka(live, patient, asyncio.create_task(connect()))

    def _claim(self) -> Claim | None:
        """The spool's folder. Raises SpoolTaken; a disk that cannot be used is said later."""
        if not self.plant.spool.size_bytes:
            return None
        try:
            return Claim(self.spool)
        except SpoolTaken:
            raise
        except SpoolError as error:
            _log.warning("spool: %s", error)
            return None

    def _status(self, producer: Producer, parts: Sequence[_Part]) -> StatusPublisher:
        def figures() -> Figures:
            return together([part.figures() for part in parts])

        prefix = self.plant.kafka.prefix
        return StatusPublisher(producer, self.process, figures, prefix=prefix)

    async def _prepare(self, kafka: _Kafka, keepers: list[Keeper]) -> list[_Part]:
        assets, cameras = assets_of(self.plant, self.site), cameras_of(self.plant, self.site)
        if not assets and not cameras:
            raise ConfigError(f"--site: the plant has no site {self.site!r}")
        parts: list[_Part] = []
        readings = Backlog(self.plant.spool.size_bytes)
        if assets:
            parts.append(await self._sensors(assets, kafka, readings, keepers))
        if cameras:
            parts.append(await self._cameras(cameras, kafka, readings, keepers))
        return parts

    async def _sensors(
        self,
        assets: dict[str, SignalSet],
        kafka: _Kafka,
        backlog: Backlog,
        keepers: list[Keeper],
    ) -> Agent:
        log, patient = self._log(KafkaLog, kafka.live), self._log(KafkaLog, kafka.patient)
        keeper = None
        if backlog.limit_bytes:
            ways = Ways(log, patient, self.plant.spool.backfill_after)
            keeper = Keeper(self._shelf(backlog, "readings"), ways)
            keepers.append(keeper)
        places = await _meet(kafka, log, assets, keeper)
        _log.info("%d assets, %d of them known to Kafka", len(assets), len(places))
        intake = Intake(assets, places, now_us=now_us(), limit=MESSAGE_LIMIT, backlog=backlog)
        source = MqttSource(self.plant.mqtt, limit=MESSAGE_LIMIT)
        if keeper is None:
            return Agent(intake, source, log)
        keeper.serve(intake.learn, lambda: intake.pressed)
        return Agent(intake, source, SpooledReadings(log, keeper))

    async def _cameras(
        self,
        cameras: dict[str, Camera],
        kafka: _Kafka,
        readings: Backlog,
        keepers: list[Keeper],
    ) -> CameraAgent:
        log, backlog = self._log(KafkaFrames, kafka.patient), Backlog(0)
        written: FrameLog = log
        keeper = None
        if readings.limit_bytes and self.plant.spool.frames_bytes:
            backlog = Backlog(self.plant.spool.frames_bytes)
            ways = Ways(log, log, self.plant.spool.backfill_after, behind=readings)
            keeper = Keeper(self._shelf(backlog, "frames", drops=True), ways)
            keepers.append(keeper)
            written = SpooledFrames(log, keeper)
        places = await _meet(kafka, log, cameras, keeper)
        _log.info("%d cameras, %d of them known to Kafka", len(cameras), len(places))
        source_of, develop = sources_in(self.folder)
        files = SightFiles(self.state)
        agent = CameraAgent(cameras, places, written, source_of, develop, backlog, files)
        if keeper is not None:
            keeper.serve(lambda _: None, lambda: agent.pressed)
        return agent

    def _log(self, kind: type[L], producer: Producer) -> L:
        prefix = self.plant.kafka.prefix
        return kind(producer, bootstrap=self.bootstrap, prefix=prefix, process=self.process)

    def _shelf(self, backlog: Backlog, what: str, *, drops: bool = False) -> Shelf:
        return Shelf(backlog, DiskSpool(self.spool / f"{what}.db"), what, drops=drops)


async def _meet(
    kafka: _Kafka,
    log: KafkaLog | KafkaFrames,
    assets: Collection[str],
    keeper: Keeper | None,
) -> dict[str, Place]:
    """Where the streams stand. An edge with a disk does not wait long for Kafka: what it answers
    later is told to the keeper; meanwhile nothing is known."""
    if keeper is None:
        return await kafka.ask(log, assets)
    await keeper.open()
    asking = asyncio.create_task(kafka.ask(log, {*assets, *keeper.backlog.assets}))
    keeper.expect(asking)
    await asyncio.wait({asking}, timeout=_MEET_S)
    if asking.done():
        return asking.result()
    _log.warning("Kafka does not answer yet: what comes goes to the disk")
    return {}


async def _work(
    parts: Sequence[_Part],
    status: StatusPublisher,
    kafka: asyncio.Task[None],
    stop: asyncio.Event,
) -> None:
    async def tell() -> None:
        await asyncio.shield(kafka)
        await status.run()

    running = [asyncio.create_task(part.run()) for part in parts]
    telling = asyncio.create_task(tell())
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
