"""`vigia evidence`: the pictures behind the alarms of cameras."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from pathlib import Path

import click

from broker.cluster import Where
from broker.reader import read
from contracts.errors import ConfigError, MessageError
from contracts.frames import EvidenceHeaders
from contracts.headers import header_map
from contracts.record import Record
from contracts.topics import EVIDENCE, topic_name
from vigia.commands.connection import connect, connection_options
from vigia.commands.times import clock_text


@click.command()
@connection_options
@click.option("--asset", help="Only this asset's (site/asset).")
@click.option("--last", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option(
    "--save",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the pictures into this folder.",
)
def evidence(
    plant_file: Path | None,
    kafka: str | None,
    prefix: str | None,
    asset: str | None,
    last: int,
    folder: Path | None,
) -> None:
    """List the newest pictures on which a model saw something, and save them."""
    link = connect(plant_file, kafka, prefix)
    found = asyncio.run(_read(link.bootstrap, topic_name(EVIDENCE, link.prefix), asset))
    for told, picture in found[-last:]:
        place = "" if folder is None else f"  {_save(folder, told, picture)}"
        click.echo(
            f"{clock_text(told.time_us)}  {told.asset}  {told.detector}  "
            f"{told.score:.3g} / {told.threshold:.3g}{place}"
        )
    if not found:
        click.echo("no pictures")


async def _read(
    bootstrap: Where, topic: str, asset: str | None
) -> list[tuple[EvidenceHeaders, bytes]]:
    """The pictures by the time of their frames; one that came twice counts once."""
    found: dict[tuple[str, str, int], tuple[EvidenceHeaders, bytes]] = {}
    async with aclosing(read(bootstrap, topic, until_end=True)) as records:
        async for record in records:
            told = _told(record)
            if told is not None and asset in (None, told.asset):
                found[told.asset, told.detector, told.time_us] = (told, record.value or b"")
    return [found[key] for key in sorted(found, key=lambda key: key[2])]


def _told(record: Record) -> EvidenceHeaders | None:
    try:
        return EvidenceHeaders.parse(header_map(record.headers))
    except MessageError:
        return None


def _save(folder: Path, told: EvidenceHeaders, picture: bytes) -> Path:
    # Who writes to the topic chooses the names: no path may come of them.
    safe = re.sub(r"[^A-Za-z0-9_-]", "-", f"{told.asset}-{told.detector}")
    file = folder / f"{safe}-{told.time_us}.jpg"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    return file
