"""`vigia exporters prometheus`: the composition root of the exporters."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Coroutine
from http import HTTPStatus
from pathlib import Path
from typing import Any

import click

from broker.cluster import Cluster, Where
from broker.health_file import HealthFile, health_option
from broker.plant_disk import Found, PlantDisk
from broker.plant_kept import Begun, state_option
from broker.plant_watch import PlantWatcher, look_option
from broker.producer import Producer
from broker.status import Figures, StatusPublisher
from contracts.errors import VigiaError
from contracts.plant import Plant
from exporters.adapters.exposition import Exposition
from exporters.adapters.gate import Gate
from exporters.adapters.http import Answer, Listen, MetricsServer, Page
from exporters.adapters.intake import Intake
from exporters.adapters.lags import watch_lags
from exporters.core.board import Board
from exporters.core.bounds import Names

_STILL = "reading does not advance"
log = logging.getLogger("exporters")


def now_us() -> int:
    """The wall clock."""
    return time.time_ns() // 1000


@click.group(name="exporters")
def cli() -> None:
    """What the outside sees of the line."""


@cli.command()
@click.option("--plant", "plant_file", required=True, type=click.Path(path_type=Path))
@click.option("--kafka", default=None, help="HOST:PORT; default: the plant file's bootstrap")
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option("--port", default=9464, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="file with the bearer token that readers must send; beyond the loopback this, "
    "--users-file or --client-ca is needed",
)
@click.option(
    "--users-file",
    type=click.Path(path_type=Path),
    help="file with name:password on each line, for basic authentication",
)
@click.option("--tls-certificate", type=click.Path(path_type=Path), help="turns TLS on; PEM")
@click.option("--tls-key", type=click.Path(path_type=Path), help="of --tls-certificate; PEM")
@click.option(
    "--client-ca",
    type=click.Path(path_type=Path),
    help="readers must show a certificate that this CA signed; PEM",
)
@click.option("--instance", default="prometheus", show_default=True, help="this process's name")
@state_option
@health_option
@look_option
def prometheus(
    plant_file: Path,
    kafka: str | None,
    host: str,
    port: int,
    token_file: Path | None,
    users_file: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    client_ca: Path | None,
    instance: str,
    state: Path | None,
    health_file: Path | None,
    look: float,
) -> None:
    """Metrics for Prometheus on /metrics; /healthz is 200 while reading advances."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # While Kafka is away it says so ten times a second; we say it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        begun, plant = Begun.of(PlantDisk(plant_file), state, _plant)
        bootstrap = Cluster.of(plant.kafka, "exporters", kafka)
        gate = Gate.of(token_file, users_file, tls_certificate, tls_key, client_ca)
        listen = Listen.checked(host, port, gate)
        running = run(begun, bootstrap, listen, f"exporters/{instance}", look, health_file)
        asyncio.run(running)
    except VigiaError as error:
        click.echo(f"vigia: {error}", err=True)
        sys.exit(1 if error.retriable else 2)


def _plant(plant: Plant, _: Found) -> Plant:
    return plant


async def run(
    begun: Begun,
    bootstrap: Where,
    listen: Listen,
    process: str,
    look_s: float,
    health_file: Path | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, by the plant file on disk, looked at every `look_s`. Raises
    ConfigError when it cannot listen, BrokerError when Kafka refuses for good; while Kafka is away
    it waits."""
    prefix = begun.plant.kafka.prefix
    names = Names.of(begun.plant)
    board = Board(names, prefix)

    async def take_up(plant: Plant) -> None:
        names.become(plant)

    watcher = PlantWatcher(begun, _plant, take_up, look_s)

    def figures() -> Figures:
        return Figures(board.account(), notes=watcher.notes(), plant=watcher.use())

    intake = Intake(bootstrap, prefix, board, now_us)
    producer = Producer(bootstrap, client_id=process.replace("/", "-"))
    status = StatusPublisher(producer, process, figures, prefix=prefix)
    health = HealthFile(health_file, process, lambda: None if intake.healthy else _STILL)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with MetricsServer(listen, _pages(board, intake)) as server:
        log.info("metrics on %s/metrics", server.url)
        lags = watch_lags(bootstrap, prefix, board.tell_lags)
        try:
            saying = (_say(producer, status), health.run())
            await _until(stop, intake.run(), lags, watcher.run(), *saying)
        finally:
            await status.last()
            await producer.stop(patience_s=1.0)


async def _say(producer: Producer, status: StatusPublisher) -> None:
    await producer.start()
    await status.run()


async def _until(stop: asyncio.Event, *works: Coroutine[Any, Any, None]) -> None:
    """Works until `stop`, or until one fails: then raises what it raised."""
    tasks = [asyncio.create_task(work) for work in (stop.wait(), *works)]
    done, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for task in done:
        task.result()


def _pages(board: Board, intake: Intake) -> dict[str, Page]:
    exposition = Exposition(lambda: board.families(now_us()))

    def metrics(accept: str) -> Answer:
        if not intake.caught_up:
            # Half of the alarms would look cleared.
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"not all is read yet\n")
        return Answer(HTTPStatus.OK, *exposition.page(accept))

    def health(_: str) -> Answer:
        if intake.healthy:
            return Answer(HTTPStatus.OK, b"ok\n")
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{_STILL}\n".encode())

    return {"/metrics": metrics, "/healthz": health}


if __name__ == "__main__":
    cli()
