"""`vigia edge`: the agent of a site."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from broker.producer import Producer
from broker.status import StatusPublisher
from contracts.errors import ConfigError, VigiaError
from contracts.plant import Plant, read_plant
from edge.adapters.agent import Agent, now_us
from edge.adapters.kafka import KafkaLog
from edge.adapters.mqtt import MqttSource
from edge.core.intake import Intake
from edge.core.routes import assets_of

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
@click.option("--instance", help="name of this agent; default: the host's name")
def run(
    plant_file: Path, kafka: str | None, mqtt: str | None, site: str | None, instance: str | None
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
        asyncio.run(_serve(plant, bootstrap, site, f"edge/{instance or socket.gethostname()}"))
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


async def _serve(plant: Plant, bootstrap: str, site: str | None, process: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    producer = Producer(bootstrap, client_id=process.replace("/", "-"))
    log = KafkaLog(producer, bootstrap=bootstrap, prefix=plant.kafka.prefix, process=process)
    _log.info("%s: Kafka at %s", process, bootstrap)
    try:
        intake = await _unless(stop, _prepare(plant, site, producer, log))
        if intake is not None:
            agent = Agent(intake, MqttSource(plant.mqtt, limit=MESSAGE_LIMIT), log)
            status = StatusPublisher(producer, process, agent.figures, prefix=plant.kafka.prefix)
            await _work(agent, status, stop)
    finally:
        await producer.stop(_GOODBYE_S)


async def _prepare(plant: Plant, site: str | None, producer: Producer, log: KafkaLog) -> Intake:
    assets = assets_of(plant, site)
    if not assets:
        raise ConfigError(f"--site: the plant has no site {site!r}")
    await producer.start()
    places = await log.places(tuple(assets))
    _log.info("%d assets, %d of them known to Kafka", len(assets), len(places))
    return Intake(assets, places, now_us=now_us(), limit=MESSAGE_LIMIT)


async def _work(agent: Agent, status: StatusPublisher, stop: asyncio.Event) -> None:
    running = asyncio.create_task(agent.run())
    telling = asyncio.create_task(status.run())
    try:
        if await _unless(stop, asyncio.wait((running,))) is None:
            _log.info("stopping")
            await agent.drain(_DRAIN_S)
        telling.cancel()
        await status.last(_LAST_WORD_S)
    finally:
        telling.cancel()
        running.cancel()
        await asyncio.wait((running, telling))
    if not running.cancelled():
        _raise_first(running.exception())


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
