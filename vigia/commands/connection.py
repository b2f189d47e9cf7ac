"""Which Kafka and which prefix a command speaks to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from broker.cluster import Cluster, Where, Who
from contracts.errors import ConfigError
from contracts.plant import Plant, read_plant
from contracts.plant.model import Kafka
from vigia.commands.files import read_bounded

DEFAULT_BOOTSTRAP = "127.0.0.1:9092"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Connection:
    """A broker, the prefix of its topics, and the plant file if one was given."""

    bootstrap: Where
    prefix: str
    plant: Plant | None = None


def connection_options(command: F) -> F:
    """Adds --plant, --kafka and --prefix."""
    for option in (
        click.option("--prefix", help="Prefix of the topics; default: the plant file's, or vigia."),
        click.option(
            "--kafka",
            envvar="KAFKA_BOOTSTRAP",
            help=f"HOST:PORT; default: the plant file's, or {DEFAULT_BOOTSTRAP}.",
        ),
        click.option(
            "--plant",
            "plant_file",
            envvar="VIGIA_PLANT",
            type=click.Path(path_type=Path),
            help="The plant file.",
        ),
    ):
        command = option(command)
    return command


def connect(
    plant_file: Path | None, kafka: str | None, prefix: str | None, who: Who = "operator"
) -> Connection:
    """What the options mean together, for `who` asks. Raises ConfigError."""
    # Why Kafka does not answer is said once, by the error that ends the command.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    plant = load_plant(plant_file) if plant_file else None
    theirs = plant.kafka if plant else Kafka()
    at = kafka or theirs.bootstrap or DEFAULT_BOOTSTRAP
    return Connection(Cluster.of(theirs, who, at), prefix or theirs.prefix, plant)


def load_plant(file: Path) -> Plant:
    """The plant in `file`. Raises ConfigError with all that is wrong."""
    return read_plant(read_bounded(file), str(file))


def named_plant(plant: Plant | None) -> Plant:
    """Raises ConfigError when none was given."""
    if plant is None:
        raise ConfigError("give --plant FILE")
    return plant
