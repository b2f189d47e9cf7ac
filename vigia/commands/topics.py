"""`vigia topics`: the table in contracts.topics, on the broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from broker.acls import allow, grants
from broker.topics import TopicSpec, create_topics
from contracts.access import read_access
from contracts.durations import format_duration
from contracts.plant import Plant
from contracts.topics import TOPICS, Topic, topic_name
from vigia.commands.connection import connect, connection_options, named_plant
from vigia.commands.files import read_bounded
from vigia.commands.table import table


@click.group()
def topics() -> None:
    """Create and list the topics."""


@topics.command()
@connection_options
@click.option("--replication", default=1, show_default=True, type=click.IntRange(1, 32767))
def create(
    plant_file: Path | None, kafka: str | None, prefix: str | None, replication: int
) -> None:
    """Create the topics that are missing; those that are there stay as they are."""
    link = connect(plant_file, kafka, prefix, "admin")
    specs = topic_specs(named_plant(link.plant), replication, prefix=link.prefix)
    created = set(asyncio.run(create_topics(link.bootstrap, specs)))
    for spec in specs:
        click.echo(f"{'created' if spec.name in created else 'exists '} {spec.name}")


@topics.command(name="allow")
@click.argument("file", type=click.Path(path_type=Path))
@connection_options
def allow_(file: Path, plant_file: Path | None, kafka: str | None, prefix: str | None) -> None:
    """Give each user in FILE its rights; those that are there stay."""
    link = connect(plant_file, kafka, prefix, "admin")
    wanted = grants(read_access(read_bounded(file), str(file)), link.prefix)
    asyncio.run(allow(link.bootstrap, wanted))
    for one in wanted:
        click.echo(str(one))


@topics.command(name="list")
@connection_options
def list_(plant_file: Path | None, kafka: str | None, prefix: str | None) -> None:
    """The table of topics: what their keys and values are and how long they are kept."""
    link = connect(plant_file, kafka, prefix)
    head = ("TOPIC", "KEY", "VALUE", "CLEANUP", "KEPT")
    click.echo(table(head, [_row(topic, link.prefix, link.plant) for topic in TOPICS]))


def topic_specs(
    plant: Plant, replication: int = 1, *, prefix: str | None = None
) -> list[TopicSpec]:
    """All topics as `plant` wants them: prefix, partitions and retention."""
    return [
        TopicSpec(
            topic_name(topic, prefix or plant.kafka.prefix),
            plant.kafka.partitions,
            {
                **topic.config(retention_bytes=plant.kafka.retention_bytes),
                "retention.ms": str(_kept_ms(topic, plant)),
            },
            replication,
        )
        for topic in TOPICS
    ]


def _kept_ms(topic: Topic, plant: Plant | None) -> int:
    asked = {str(name): us for name, us in plant.kafka.retention.items()} if plant else {}
    return asked[topic.name] // 1000 if topic.name in asked else topic.retention_ms


def _row(topic: Topic, prefix: str, plant: Plant | None) -> tuple[str, str, str, str, str]:
    kept = _kept_ms(topic, plant)
    until = "for ever" if kept < 0 else format_duration(kept * 1000)
    return topic_name(topic, prefix), topic.key, topic.value, topic.cleanup, until
