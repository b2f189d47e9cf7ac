"""`vigia config`: is a plant file right, what may stand in it, and is what it names there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from vigia.commands.files import read_bounded
from vigia.lazy import Lazy, LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "probe": Lazy("vigia.commands.probe:probe", "Open what a plant FILE names; what is there.")
    },
)
def config() -> None:
    """Check a plant file and what it names; its JSON Schema."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Report all that is wrong with a plant FILE, each with its line. Reads nothing else."""
    from contracts.plant import check_plant

    plant, problems = check_plant(read_bounded(file))
    for problem in problems:
        click.echo(f"{file}:{problem.line}: {problem.path}: {problem.text}")
    if plant is None or problems:
        sys.exit(1)
    click.echo(
        f"ok: {_count(len(plant.sites), 'site')}, {_count(len(plant.assets()), 'asset')}, "
        f"{_count(len(plant.detectors), 'detector')}, {_count(len(plant.alarms), 'alarm rule')}, "
        f"hash {plant.hash}"
    )


@config.command()
@click.option(
    "--all",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the schemas of the plant file and of all messages into this folder.",
)
def schema(folder: Path | None) -> None:
    """Print the JSON Schema of the plant file, for editors."""
    from contracts.schemas import plant_schema, published

    if folder is None:
        click.echo(_text(plant_schema()), nl=False)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in published().items():
        (folder / name).write_text(_text(one), encoding="utf-8")
        click.echo(folder / name)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _text(schema: object) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
