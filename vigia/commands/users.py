"""`vigia users`: whom Kafka lets in."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import click

from broker.cluster import Cluster
from broker.passwords import set_passwords
from contracts.errors import BrokerError
from contracts.plant.model import Kafka
from contracts.users import users_in
from vigia.commands.files import read_text

_AGAIN_S = 0.5


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--kafka", required=True, metavar="HOST:PORT", help="Where it asks for a certificate."
)
@click.option("--ca-file", required=True, help="Who signs its certificate; PEM.")
@click.option("--certificate-file", required=True, help="What we show, a super user's; PEM.")
@click.option("--key-file", help="The key of what we show; default: it is in the same file.")
@click.option(
    "--wait",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 3600),
    help="Seconds that Kafka may take before it answers.",
)
def users(
    file: Path, kafka: str, ca_file: str, certificate_file: str, key_file: str | None, wait: float
) -> None:
    """Give each of Kafka's users the password that FILE says: name:password on each line.

    For beside Kafka, with the certificate that the broker shows to itself: it works also where the
    password of who manages it is lost.
    """
    # Why Kafka does not answer is said once, by the error that ends the command.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    wanted = users_in(read_text(file), str(file))
    door = Kafka(
        ca_file=ca_file, certificate_file=certificate_file, key_file=key_file or certificate_file
    )
    asyncio.run(_set(Cluster.of(door, "admin", kafka), wanted, wait))
    for name in wanted:
        click.echo(f"password set: {name}")


async def _set(where: Cluster, wanted: Mapping[str, str], wait: float) -> None:
    limit = time.monotonic() + wait
    while True:
        try:
            return await set_passwords(where, wanted)
        except BrokerError as error:
            if not error.retriable or time.monotonic() > limit:
                raise
        await asyncio.sleep(_AGAIN_S)
