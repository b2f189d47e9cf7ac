"""`vigia run`: the whole line on one box, for a plant of one's own."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from broker.loopback import HOST, is_free
from contracts.errors import ConfigError, VigiaError
from contracts.plant import Plant
from contracts.texts import Language
from vigia.commands.connection import DEFAULT_BOOTSTRAP, load_plant
from vigia.commands.language import language_option
from vigia.hints import Hints, model_refused
from vigia.line import KAFKA_PORT, METRICS_PORT, Layout, Line, some_port
from vigia.mqtt_local import LocalMqtt, find_mosquitto
from vigia.probe import listens
from vigia.screen import Screen
from vigia.session import Session, log_to
from vigia.shown import frame_of, shown
from vigia.supervisor import Supervisor
from vigia.words import word

_LOOK_S = 2.0


@click.command()
@click.option(
    "--plant",
    "plant_file",
    type=click.Path(path_type=Path),
    default=Path("plant.yaml"),
    show_default=True,
)
@click.option(
    "--kafka", help="HOST:PORT of a Kafka that runs; default: the plant file's, or our own"
)
@click.option(
    "--own-mqtt", is_flag=True, help="start an MQTT broker too, for this machine only, open to all"
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".vigia"),
    show_default=True,
    help="folder of our own brokers' data and of all logs",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option(
    "--metrics-port", type=click.IntRange(1, 65535), default=METRICS_PORT, show_default=True
)
@language_option
def run(
    plant_file: Path,
    kafka: str | None,
    own_mqtt: bool,
    data: Path,
    workers: int,
    metrics_port: int,
    lang: Language,
) -> None:
    """All rooms on this box, for a plant of your own.

    Ends with Ctrl-C. Started again it goes on where it was: what the MQTT broker and Kafka have
    kept is worked through first.
    """
    if not plant_file.exists():
        raise ConfigError(word("no-plant", lang, file=plant_file))
    plant = load_plant(plant_file)
    if not is_free(metrics_port):
        raise ConfigError(word("metrics-port-taken", lang, port=metrics_port))
    folder = data.resolve()
    mqtt = _own_mqtt(plant, folder, lang) if own_mqtt else None
    with _alone(folder):
        log_to(folder / "logs" / "vigia.log")
        layout = Layout(
            plant_file=plant_file.resolve(),
            plant=plant,
            folder=folder,
            instance="box",
            kafka=kafka or plant.kafka.bootstrap,
            kafka_port=some_port(KAFKA_PORT),
            own_mqtt=mqtt,
            workers=workers,
            metrics_port=metrics_port,
        )
        sys.exit(asyncio.run(_serve(layout, Console(), lang)))


def _own_mqtt(plant: Plant, folder: Path, lang: Language) -> LocalMqtt:
    """Raises ConfigError where a broker of ours would not be the plant file's."""
    if plant.mqtt.host not in (HOST, "localhost"):
        raise ConfigError(word("mqtt-elsewhere", lang, mqtt=_mqtt_of(plant)))
    if not is_free(plant.mqtt.port):
        raise ConfigError(word("mqtt-port-taken", lang, mqtt=_mqtt_of(plant)))
    mqtt = LocalMqtt(folder / "mqtt", find_mosquitto())
    mqtt.port = plant.mqtt.port
    return mqtt


def _mqtt_of(plant: Plant) -> str:
    return f"{plant.mqtt.host}:{plant.mqtt.port}"


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
    hints = _hints(layout, lang)
    try:
        if await session.until_stopped(_started(line, screen, hints)):
            sites = ", ".join(site.name or site.id for site in layout.plant.sites)
            note = word("look-live", lang, alarms=_alarms(hints), logs=_short(_logs(layout)))
            async with shown(
                line, screen, screen, from_start=False, frame=lambda: frame_of(line, sites, note)
            ):
                await session.until_stopped(_advise(layout, screen, hints))
    except VigiaError as error:
        screen.line(f"vigia: {error}")
        advice = model_refused(layout.plant, layout.plant_file.parent, str(error), lang)
        if advice is not None:
            screen.line(f"vigia: {advice}")
        return 1
    finally:
        screen.line(word("stopping", lang))
        await supervisor.stop()
    screen.line(word("stopped", lang))
    return 0


def _hints(layout: Layout, lang: Language) -> Hints:
    kafka = layout.kafka or f"{HOST}:{layout.kafka_port}"
    options = f" --plant {_short(layout.plant_file)}"
    if kafka != (layout.plant.kafka.bootstrap or DEFAULT_BOOTSTRAP):
        options += f" --kafka {kafka}"
    log = _short(_logs(layout) / f"edge-{layout.instance}.log")
    return Hints(layout.plant, lang, _mqtt_of(layout.plant), log, options)


def _alarms(hints: Hints) -> str:
    return f"vigia alarms{hints.options}"


def _logs(layout: Layout) -> Path:
    return layout.folder / "logs"


def _short(path: Path) -> str:
    """A path as a person here would type it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


async def _started(line: Line, screen: Screen, hints: Hints) -> bool:
    layout, lang = line.layout, hints.lang
    mqtt = _mqtt_of(layout.plant)
    own = word("kafka-own", lang, folder=_short(layout.folder / "kafka"))
    kafka = layout.kafka or own
    screen.say(word("starting", lang, kafka=kafka, mqtt=mqtt, workers=layout.workers))
    if layout.own_mqtt is None and not await _answers(layout):
        _say(screen, hints.broker(answers=False))
    await line.start()
    took = ", ".join(f"{name} {took:.1f} s" for name, took in line.phases.items())
    screen.say(word("started", lang, took=took))
    screen.say(word("sensors-at", lang, mqtt=mqtt, kafka=line.bootstrap))
    if layout.kafka is None and layout.kafka_port != KAFKA_PORT:
        screen.say(word("kafka-port-taken", lang, port=KAFKA_PORT, kafka=line.bootstrap))
    logs = _short(_logs(layout))
    figures = {"alarms": _alarms(hints), "metrics": layout.metrics_url, "logs": logs}
    screen.say(word("look", lang, **figures))
    return True


async def _advise(layout: Layout, screen: Screen, hints: Hints) -> None:
    """Tells what is wrong, until cancelled."""
    hints.begun_us = time.time_ns() // 1000
    while True:
        await asyncio.sleep(_LOOK_S)
        _say(screen, hints.look(screen.board, time.time_ns() // 1000))
        if hints.apart(screen.board):
            _say(screen, hints.broker(await _answers(layout)))


async def _answers(layout: Layout) -> bool:
    return await listens(layout.plant.mqtt.host, layout.plant.mqtt.port)


def _say(screen: Screen, texts: list[str]) -> None:
    for text in texts:
        screen.say(text)
