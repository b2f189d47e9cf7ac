"""`vigia edge`: the agent of a site."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from broker.cluster import Cluster, Where
from broker.health_file import HealthFile, health_option
from broker.heap import settle
from broker.plant_disk import PlantDisk
from broker.plant_kept import Begun
from broker.plant_watch import PlantWatcher, look_option
from broker.producer import Producer
from broker.status import Figures, StatusPublisher
from contracts.errors import ConfigError, SpoolError, SpoolTaken, VigiaError
from contracts.findings import Finding
from contracts.health import no_source
from contracts.plant import Plant
from contracts.plant.cameras import Camera
from contracts.plant.model import Mqtt, SignalSet
from edge.adapters.agent import Agent, now_us, together
from edge.adapters.camera_agent import CameraAgent, sources_in
from edge.adapters.camera_probe import probe_camera
from edge.adapters.disk import Claim, DiskSpool
from edge.adapters.frame_kafka import KafkaFrames
from edge.adapters.kafka import KafkaLog
from edge.adapters.keeper import Keeper, Ways
from edge.adapters.mqtt import MqttSource
from edge.adapters.mqtt_probe import MqttProbe
from edge.adapters.producers import Producers
from edge.adapters.shelf import Shelf
from edge.adapters.sight_files import SightFiles
from edge.adapters.spooled import SpooledFrames, SpooledReadings
from edge.adapters.working import Part, unless, work
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
    help="folder for what is normal for each camera, and for a copy of the plant file in use; "
    "default: none, and it is learned anew at each start",
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
@health_option
@look_option
def run(
    plant_file: Path,
    kafka: str | None,
    mqtt: str | None,
    site: str | None,
    state: Path | None,
    instance: str | None,
    spool: Path | None,
    health_file: Path | None,
    look: float,
) -> None:
    """Reads the plant's MQTT topics and writes rows to Kafka, until SIGTERM or SIGINT."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s edge %(levelname)s %(message)s"
    )
    # While Kafka is away it says so five times a second; the agent says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        copies = None if state is None else state / "plant"
        begun, plant = Begun.of(
            PlantDisk(plant_file), copies, lambda plant, _: _served(plant, site)
        )
        name = _name(instance)
        kept = _spool_folder(plant, plant_file, spool) / f"{plant.kafka.prefix}-{name}"
        edge = _Edge(
            plant,
            plant_file.parent,
            Cluster.of(plant.kafka, "edge", kafka),
            _mqtt(plant, mqtt),
            site,
            f"edge/{name}",
            kept,
            state,
            health_file,
        )
    except VigiaError as error:
        sys.exit(_told(error))
    asyncio.run(_and_end(edge.serve(begun, look)))


async def probe(plant_file: Path, plant: Plant, wait_s: float) -> list[Finding]:
    """What can be heard and seen of the plant's sensors and cameras, `wait_s` for each."""
    assets, cameras = assets_of(plant), cameras_of(plant)
    looks = [MqttProbe(plant.mqtt, assets, wait_s).run()] if assets else []
    if cameras:
        source_of, _ = sources_in(plant_file.parent)
        looks += [probe_camera(one, c, source_of(c), wait_s) for one, c in cameras.items()]
    return [finding for found in await asyncio.gather(*looks) for finding in found]


async def _and_end(work: Coroutine[Any, Any, None]) -> NoReturn:
    """Ends the process with `work`. A camera's thread may be in FFmpeg, for as long as its camera
    says nothing: to take Python apart under it ends in a crash."""
    code = 0
    try:
        await work
    except VigiaError as error:
        code = _told(error)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


def _told(error: VigiaError) -> int:
    """Says why the edge ends; the code with which it does."""
    final = isinstance(error, ConfigError)
    click.echo(str(error) if final else f"edge: {error}", err=True)
    return 2 if final else 1


def _mqtt(plant: Plant, address: str | None) -> Mqtt:
    if address is None:
        return plant.mqtt
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ConfigError(f"--mqtt: expected HOST:PORT, got {address!r}")
    return plant.mqtt.model_copy(update={"host": host, "port": int(port)})


def _served(plant: Plant, site: str | None) -> Plant:
    """The plant, if the edge of `site` has something to do. Raises ConfigError."""
    if not assets_of(plant, site) and not cameras_of(plant, site):
        raise ConfigError(f"--site: the plant has no site {site!r}")
    return plant


def _name(instance: str | None) -> str:
    return instance or socket.gethostname()


def _spool_folder(plant: Plant, plant_file: Path, wanted: Path | None) -> Path:
    if wanted is not None:
        return wanted
    named = plant.spool.folder
    return plant_file.parent / named if named is not None else SPOOL_FOLDER


@dataclass(slots=True)
class _Edge:
    """The agent of the sites of a plant file in `folder`, or of one site. `spool` is the folder of
    its own for what is kept on disk; what it learns of cameras is kept in `state`."""

    plant: Plant
    folder: Path
    bootstrap: Where
    mqtt: Mqtt
    site: str | None
    process: str
    spool: Path
    state: Path | None
    health_file: Path | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _ending: bool = False

    async def serve(self, begun: Begun, look_s: float) -> None:
        """Works until SIGTERM or SIGINT; every `look_s` it looks for another plant file, and takes
        it up. Raises VigiaError."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        watcher = PlantWatcher(
            begun, lambda plant, _: _served(plant, self.site), self._take_up, look_s
        )
        watching = asyncio.create_task(watcher.run())
        watching.add_done_callback(lambda _: self._end())
        claim = self._claim()
        try:
            while not self._ending:
                self._stop.clear()
                await self._life(watcher)
        finally:
            watching.cancel()
            if claim is not None:
                claim.release()
        if watching.done() and not watching.cancelled():
            watching.result()

    def _end(self) -> None:
        self._ending = True
        self._stop.set()

    async def _take_up(self, plant: Plant) -> None:
        """What concerns sensors or cameras begins a new life of the edge, which is for MQTT and
        Kafka what another edge after this one would be; all else does not concern it."""
        old, self.plant = self.plant, plant
        if any(of(old, self.site) != of(plant, self.site) for of in (assets_of, cameras_of)):
            self._stop.set()

    async def _life(self, watcher: PlantWatcher[Plant]) -> None:
        """Works until it is to stop."""
        _log.info("%s: Kafka at %s", self.process, self.bootstrap)
        kafka = self._kafka()
        keepers: list[Keeper] = []
        try:
            parts = await unless(self._stop, self._prepare(kafka, keepers))
            if parts is not None:
                settle()
                figures = self._figures([*parts, *keepers], watcher)
                prefix = self.plant.kafka.prefix
                status = StatusPublisher(kafka.live, self.process, figures, prefix=prefix)
                await self._watched(
                    figures, work([*keepers, *parts], status, kafka.there, self._stop)
                )
        finally:
            await asyncio.gather(*(keeper.close() for keeper in keepers))
            await kafka.stop()

    def _kafka(self) -> Producers:
        name = self.process.replace("/", "-")
        live = Producer(self.bootstrap, client_id=name)
        patient = Producer(self.bootstrap, client_id=f"{name}-frames")

        async def connect() -> None:
            await asyncio.gather(live.start(), patient.start())

        return Producers(live, patient, asyncio.create_task(connect()))

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

    def _figures(
        self, parts: Sequence[Part], watcher: PlantWatcher[Plant]
    ) -> Callable[[], Figures]:
        def figures() -> Figures:
            own = Figures(notes=watcher.notes(), plant=watcher.use())
            return together([own, *(part.figures() for part in parts)])

        return figures

    async def _watched(
        self, figures: Callable[[], Figures], working: Coroutine[Any, Any, None]
    ) -> None:
        """Works, and says meanwhile on this box whether that is of use."""
        health = HealthFile(self.health_file, self.process, lambda: no_source(figures().sources))
        saying = asyncio.create_task(health.run())
        try:
            await working
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)

    async def _prepare(self, kafka: Producers, keepers: list[Keeper]) -> list[Part]:
        assets, cameras = assets_of(self.plant, self.site), cameras_of(self.plant, self.site)
        parts: list[Part] = []
        readings = Backlog(self.plant.spool.size_bytes)
        if assets:
            parts.append(await self._sensors(assets, kafka, readings, keepers))
        if cameras:
            parts.append(await self._cameras(cameras, kafka, readings, keepers))
        return parts

    async def _sensors(
        self,
        assets: dict[str, SignalSet],
        kafka: Producers,
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
        source = MqttSource(self.mqtt, limit=MESSAGE_LIMIT)
        if keeper is None:
            return Agent(intake, source, log)
        keeper.serve(intake.learn, lambda: intake.pressed)
        return Agent(intake, source, SpooledReadings(log, keeper))

    async def _cameras(
        self,
        cameras: dict[str, Camera],
        kafka: Producers,
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
    kafka: Producers,
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


if __name__ == "__main__":
    cli(prog_name="edge")
