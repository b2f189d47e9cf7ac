"""`vigia run`: the whole line on one box, for a plant of one's own."""

from __future__ import annotations

import asyncio
import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from broker.loopback import is_free
from contracts.errors import ConfigError, VigiaError
from contracts.texts import LANGUAGES, Language
from vigia.commands.connection import load_plant
from vigia.line import KAFKA_PORT, METRICS_PORT, Layout, Line, some_port
from vigia.screen import Screen
from vigia.session import Session, log_to
from vigia.shown import frame_of, shown
from vigia.supervisor import Supervisor


@click.command()
@click.option("--plant", "plant_file", required=True, type=click.Path(path_type=Path))
@click.option(
    "--kafka", help="HOST:PORT of a Kafka that runs; default: the plant file's, or our own"
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".vigia"),
    show_default=True,
    help="folder of our own Kafka's data and of all logs",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option(
    "--metrics-port", type=click.IntRange(1, 65535), default=METRICS_PORT, show_default=True
)
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True)
def run(
    plant_file: Path,
    kafka: str | None,
    data: Path,
    workers: int,
    metrics_port: int,
    lang: Language,
) -> None:
    """All rooms on this box, for a plant of your own.

    Ends with Ctrl-C. Started again it goes on where it was: what the MQTT broker and Kafka have
    kept is worked through first.
    """
    plant = load_plant(plant_file)
    if not is_free(metrics_port):
        raise ConfigError(f"--metrics-port {metrics_port}: something listens there already")
    folder = data.resolve()
    with _alone(folder):
        log_to(folder / "logs" / "vigia.log")
        layout = Layout(
            plant_file=plant_file.resolve(),
            plant=plant,
            folder=folder,
            instance="box",
            kafka=kafka or plant.kafka.bootstrap,
            kafka_port=some_port(KAFKA_PORT),
            workers=workers,
            metrics_port=metrics_port,
        )
        sys.exit(asyncio.run(_serve(layout, Console(), lang)))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raises ConfigError when another `vigia run` works on this folder, or it is not ours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError as error:
        raise ConfigError(f"--data {folder}: another `vigia run` works there") from error
    except PermissionError as error:
        raise ConfigError(f"--data {folder}: {error.strerror}") from error


async def _serve(layout: Layout, console: Console, lang: Language) -> int:
    session = Session()
    screen = Screen(console, lang)
    session.supervisor = supervisor = Supervisor(screen.say)
    line = Line(layout, supervisor, screen.say)
    screen.hearer = line
    try:
        if await session.until_stopped(_started(line, screen)):
            sites = ", ".join(site.name or site.id for site in layout.plant.sites)
            async with shown(
                line, screen, screen, from_start=False, frame=lambda: frame_of(line, sites)
            ):
                await session.until_stopped(asyncio.Event().wait())
    except VigiaError as error:
        screen.line(f"vigia: {error}")
        return 1
    finally:
        screen.line("stopping ...")
        await supervisor.stop()
    screen.line("stopped; started again it goes on where it was")
    return 0


async def _started(line: Line, screen: Screen) -> bool:
    layout = line.layout
    where = layout.kafka or f"our own, with its data in {layout.folder / 'kafka'}"
    workers = "1 worker" if layout.workers == 1 else f"{layout.workers} workers"
    screen.say(f"starting edge, {workers} and exporter; Kafka is {where}")
    await line.start()
    mqtt = layout.plant.mqtt
    took = ", ".join(f"{name} {took:.1f} s" for name, took in line.phases.items())
    screen.say(f"started ({took})")
    screen.say(f"sensors: MQTT broker {mqtt.host}:{mqtt.port}; Kafka: {line.bootstrap}")
    screen.say(f"metrics: {layout.metrics_url}; logs: {layout.folder / 'logs'}")
    return True
