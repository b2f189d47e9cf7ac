"""`vigia tail`: what goes over a topic."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import click

from broker.reader import read
from contracts.errors import ConfigError
from contracts.record import Record
from contracts.texts import LANGUAGES, Language
from contracts.topics import TOPICS, Topic, topic_name, topic_of
from vigia.commands.connection import Connection, connect, connection_options
from vigia.commands.decode import as_json
from vigia.commands.human import lines
from vigia.commands.names import display_names


@click.command()
@click.argument("topic")
@connection_options
@click.option("--json", "as_lines", is_flag=True, help="One JSON object a message.")
@click.option("--from-start", is_flag=True, help="Everything the topic has, then what comes.")
@click.option(
    "--until-idle",
    type=click.FloatRange(min=0.1),
    metavar="S",
    help="End when nothing came for S seconds.",
)
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True)
def tail(
    topic: str,
    plant_file: Path | None,
    kafka: str | None,
    prefix: str | None,
    as_lines: bool,
    from_start: bool,
    until_idle: float | None,
    lang: Language,
) -> None:
    """Show the messages of TOPIC, decoded: readings, aggregates, detections, alarms, alerts,
    commands, status, dead-letters or frames."""
    link = connect(plant_file, kafka, prefix)
    found = topic_of(topic, link.prefix)
    if found is None:
        known = ", ".join(one.name for one in TOPICS)
        raise ConfigError(f"expected one of the topics {known}, got {topic!r}")
    show = _json_line if as_lines else _human(lang, display_names(link.plant))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_follow(link, found, show, from_start, until_idle))


Show = Callable[[Record, Topic], None]


def _json_line(record: Record, topic: Topic) -> None:
    click.echo(json.dumps(as_json(record, topic), ensure_ascii=False, allow_nan=False))


def _human(lang: Language, names: dict[str, str]) -> Show:
    def show(record: Record, topic: Topic) -> None:
        for line in lines(record, topic, lang, names):
            # What a sender wrote must not move the cursor or change colours.
            click.echo("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line))

    return show


async def _follow(
    link: Connection, topic: Topic, show: Show, from_start: bool, until_idle: float | None
) -> None:
    name = topic_name(topic, link.prefix)
    records = read(link.bootstrap, name, from_start=from_start, until_idle_s=until_idle)
    async with aclosing(records):
        async for record in records:
            show(record, topic)
