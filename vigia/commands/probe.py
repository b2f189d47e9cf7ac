"""`vigia config probe`: opens what a plant file names, and says what it found."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import click

from broker.admin import admin, partition_counts
from broker.cluster import Cluster, Who
from broker.refusal import refusal
from contracts.errors import VigiaError
from contracts.findings import WHATS, Field, Finding
from contracts.plant import Plant
from contracts.texts import LANGUAGES, Language
from vigia.commands.connection import DEFAULT_BOOTSTRAP, load_plant
from vigia.commands.table import table
from vigia.commands.topics import topic_specs

_PATIENCE_S = 20.0
_HEAD: dict[Language, tuple[str, ...]] = {
    "en": ("WHAT", "WHERE", "OK", "FOUND"),
    "es": ("QUÉ", "DÓNDE", "BIEN", "ENCONTRADO"),
}
_YES: dict[Language, tuple[str, str]] = {"en": ("yes", "NO"), "es": ("sí", "NO")}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--kafka",
    metavar="HOST:PORT",
    envvar="KAFKA_BOOTSTRAP",
    help="default: the plant's kafka.bootstrap",
)
@click.option(
    "--as",
    "who",
    type=click.Choice(get_args(Who)),
    default="operator",
    show_default=True,
    help="to Kafka, where each room has a user of its own",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 600),
    default=10.0,
    show_default=True,
    help="seconds for a message of each sensor, and for a frame; 0: no message is waited for",
)
@click.option("--json", "as_document", is_flag=True, help="A JSON list of what was found.")
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True)
def probe(
    file: Path, kafka: str | None, who: Who, wait: float, as_document: bool, lang: Language
) -> None:
    """Open every broker, topic, sensor, camera and model of a plant FILE, and say what is there.
    Exit code 1 where one of them fails."""
    # What it says of brokers that are away is said by what was found.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    findings = asyncio.run(_probe(file, load_plant(file), kafka, who, wait))
    if as_document:
        document = [_json(one, lang) for one in findings]
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(table(_HEAD[lang], [_row(one, lang) for one in findings]))
    _end(0 if all(one.ok for one in findings) else 1)


def _end(code: int) -> None:
    if threading.active_count() > 1:
        # A thread that waits in a library for what does not answer: to take Python apart under it
        # may end in a crash.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


async def _probe(
    file: Path, plant: Plant, bootstrap: str | None, who: Who, wait_s: float
) -> list[Finding]:
    # Each room is loaded for what there is of its own.
    looks = [_kafka(plant, bootstrap, who)]
    if plant.sensed() or plant.cameras():
        from edge.__main__ import probe as probe_edge

        looks.append(probe_edge(file, plant, wait_s))
    if plant.detectors:
        from stream.__main__ import probe as probe_stream

        looks.append(probe_stream(file, plant))
    return [finding for found in await asyncio.gather(*looks) for finding in found]


async def _kafka(plant: Plant, bootstrap: str | None, who: Who) -> list[Finding]:
    at = bootstrap or plant.kafka.bootstrap or DEFAULT_BOOTSTRAP
    try:
        kafka = Cluster.of(plant.kafka, who, at)
    except VigiaError as error:
        return [Finding("kafka", at, "refused", {"why": str(error)})]
    doors = await asyncio.gather(*(_door(kafka, one.strip()) for one in at.split(",")))
    if not any(one.ok for one in doors):
        own = bootstrap is None and plant.kafka.bootstrap is None
        return [Finding("kafka", at, "kafka-own")] if own else list(doors)
    return [*doors, *await _topics(plant, kafka)]


async def _door(kafka: Cluster, address: str) -> Finding:
    """One broker."""
    alone = replace(kafka, bootstrap=address, again=None)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            why = await refusal(alone)
    except TimeoutError:
        return Finding("kafka", address, "late", {"seconds": _PATIENCE_S})
    if why is not None:
        return Finding("kafka", address, "refused", {"why": why})
    fields: dict[str, Field] = {
        "tls": kafka.tls is not None,
        "user": kafka.user.name if kafka.user else "",
    }
    return Finding("kafka", address, "lets-in", fields)


async def _topics(plant: Plant, kafka: Cluster) -> list[Finding]:
    wanted = {spec.name: spec.partitions for spec in topic_specs(plant)}
    everywhere = f"{plant.kafka.prefix}.*"
    try:
        async with asyncio.timeout(_PATIENCE_S), admin(kafka) as client:
            found = await partition_counts(client, list(wanted))
    except TimeoutError:
        return [Finding("topic", everywhere, "late", {"seconds": _PATIENCE_S})]
    except VigiaError as error:
        return [Finding("topic", everywhere, "refused", {"why": str(error)})]
    return [_topic(name, count, found.get(name)) for name, count in wanted.items()]


def _topic(name: str, wanted: int, found: int | None) -> Finding:
    if found is None:
        return Finding("topic", name, "topic-missing")
    fields = {"count": found, "wanted": wanted}
    return Finding("topic", name, "partitions" if found == wanted else "partitions-differ", fields)


def _row(one: Finding, lang: Language) -> Sequence[str]:
    return WHATS[one.what][lang], one.where, _YES[lang][not one.ok], one.text(lang)


def _json(one: Finding, lang: Language) -> dict[str, Any]:
    return {
        "what": one.what,
        "where": one.where,
        "ok": one.ok,
        "code": one.code,
        "text": one.text(lang),
        "fields": dict(one.fields),
    }
