"""`vigia demo`: the whole line on real data."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from contracts.errors import VigiaError
from contracts.texts import LANGUAGES, Language
from vigia.commands.connection import load_plant
from vigia.demo.eyes import Eyes
from vigia.demo.planting import DEFAULT_EVENTS, DEFAULT_SECONDS, draw, room
from vigia.demo.recording import recordings
from vigia.demo.report import Report
from vigia.demo.show import Show, Wish, write_json
from vigia.line import METRICS_PORT, Layout, Line, some_port
from vigia.mqtt_local import LocalMqtt, find_mosquitto
from vigia.screen import Screen
from vigia.session import INTERRUPTED, Session, log_to
from vigia.supervisor import Supervisor
from vigia.view import account_table

PLANT_FILE = Path(__file__).with_name("plant.yaml")


@click.command()
@click.option(
    "--seed", envvar="DEMO_SEED", type=click.IntRange(min=0), default=1, show_default=True
)
@click.option(
    "--events",
    envvar="DEMO_EVENTS",
    type=click.IntRange(min=0),
    help=f"withdrawals; default: {DEFAULT_EVENTS}, or as many as fit",
)
@click.option(
    "--seconds",
    envvar="DEMO_SECONDS",
    type=click.IntRange(min=1, max=86_400),
    help="ends by itself so long after the first reading; default: until Ctrl-C",
)
@click.option(
    "--json",
    "json_file",
    envvar="DEMO_JSON",
    type=click.Path(dir_okay=False, path_type=Path),
    help="write the summary there",
)
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True)
def demo(
    seed: int, events: int | None, seconds: int | None, json_file: Path | None, lang: Language
) -> None:
    """The whole line on real data, live in this terminal.

    Exit code 0: nothing missed, nothing spurious, and every reading accounted for. 1: not so,
    and it says why. 130: it was ended by Ctrl-C, after a summary of what was seen until then.
    """
    wish = Wish(seed, _checked_events(seed, events, seconds), seconds, json_file)
    folder = Path(tempfile.mkdtemp(prefix="vigia-demo-"))
    log_to(folder / "logs" / "vigia.log")
    console = Console()
    code = 1
    try:
        code = asyncio.run(_perform(wish, folder, console, lang))
    finally:
        _clean(folder, failed=code == 1)
    sys.exit(code)


def _checked_events(seed: int, events: int | None, seconds: int | None) -> int:
    """Raises PlantingError where so many do not fit."""
    held_out = {asset: len(run.held_out) for asset, run in recordings().items()}
    length = DEFAULT_SECONDS if seconds is None else seconds
    count = min(DEFAULT_EVENTS, room(length) * len(held_out)) if events is None else events
    draw(seed, count, length, held_out)
    return count


async def _perform(wish: Wish, folder: Path, console: Console, lang: Language) -> int:
    session = Session(on_kill=lambda: _clean(folder, failed=False))
    eyes = Eyes.prepare(folder)
    screen, line = line_of(eyes, console, lang)
    session.supervisor = supervisor = line.supervisor
    try:
        report = await Show(wish, line, eyes, screen, session).play()
    except VigiaError as error:
        console.print(f"vigia: {error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    finally:
        await supervisor.stop()
    if report is not None:
        _print(report, console, lang, so_far=session.stop.is_set())
        if wish.json_file is not None:
            write_json(wish.json_file, report, screen.say)
    # Without an end of its own, Ctrl-C is the demo's end and no interruption.
    if report is None or (session.stop.is_set() and wish.seconds is not None):
        return INTERRUPTED
    return 1 if report.faults else 0


def line_of(eyes: Eyes, console: Console, lang: Language) -> tuple[Screen, Line]:
    """The demo's line, not yet started, and the screen that hears of it."""
    screen = Screen(console, lang)
    screen.hearer = line = Line(_layout(eyes, screen), Supervisor(screen.say), screen.say)
    return screen, line


def _layout(eyes: Eyes, screen: Screen) -> Layout:
    program = find_mosquitto()
    if program is None:
        screen.say("MQTT broker: amqtt from pip, which keeps no sessions; Mosquitto would")
    if not eyes.guarded:
        screen.say(
            "cameras: aio-rtsp-toolkit from pip, which asks for no password; GStreamer would"
        )
    plant_file = eyes.staged(PLANT_FILE)
    return Layout(
        plant_file=plant_file,
        plant=load_plant(plant_file),
        folder=eyes.folder,
        instance="demo",
        own_mqtt=LocalMqtt(eyes.folder / "mqtt", program),
        metrics_port=some_port(METRICS_PORT),
    )


def _print(report: Report, console: Console, lang: Language, *, so_far: bool) -> None:
    console.print("\nended by hand; until then:" if so_far else "")
    for text in report.lines():
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(account_table(report.accounts, lang))
    for fault in report.faults:
        console.print(f"not passed: {fault}", markup=False, highlight=False, soft_wrap=True)
    if not report.faults and not so_far:
        console.print(
            "passed: nothing missed, nothing spurious, every reading and every frame accounted for"
        )


def _clean(folder: Path, *, failed: bool) -> None:
    """Removes what the demo wrote; of one that failed the logs stay."""
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for name in ("kafka/data", "kafka/tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)
    click.echo(f"the logs are in {folder}", err=True)


if __name__ == "__main__":
    demo(prog_name="vigia demo")
