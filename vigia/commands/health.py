"""`vigia health`: for those who supervise: whether a process works, and whether Kafka answers."""

from __future__ import annotations

import ssl
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

from contracts.errors import ConfigError, DecodeError


@click.group()
def health() -> None:
    """Whether a part works: exit code 0, or 1 and why not."""


@health.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--alive", is_flag=True, help="Only whether it lives, and not whether it is of use.")
def process(file: Path, alive: bool) -> None:
    """What a process said of itself in FILE, which it was given as --health."""
    from contracts.health import Health

    try:
        said = Health.read(file.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        _end(f"{file}: {error.strerror}: the process has not begun, or has ended")
    except DecodeError as error:
        _end(f"{file}: {error}")
    _end(said.why_not(time.time_ns() // 1000, alive_only=alive))


@health.command()
@click.argument("address", metavar="HOST:PORT")
@click.option("--ca-file", type=click.Path(path_type=Path), help="Asks by TLS; PEM.")
@click.option("--timeout", default=5.0, show_default=True, type=click.FloatRange(0.1, 60))
def kafka(address: str, ca_file: Path | None, timeout: float) -> None:
    """Whether the Kafka at HOST:PORT answers a request; no user is needed for that."""
    from broker.kafka_answer import why_silent

    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ConfigError(f"expected HOST:PORT, got {address!r}")
    try:
        tls = None if ca_file is None else ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"--ca-file {ca_file}: {error}") from None
    _end(why_silent(host, int(port), tls, timeout))


def _end(why: str | None) -> NoReturn:
    click.echo("ok" if why is None else f"vigia: {why}", err=why is not None)
    sys.exit(0 if why is None else 1)
