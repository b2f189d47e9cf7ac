"""`vigia init`: a plant file to begin with."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from contracts.errors import ConfigError
from contracts.texts import Language
from vigia.commands.language import language_option
from vigia.words import word


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("plant.yaml"))
@language_option
def init(file: Path, lang: Language) -> None:
    """Write a commented plant FILE (plant.yaml) for one sensor, and a camera to turn on.

    A file that exists is not overwritten.
    """
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(starter(lang, str(file)))
    except FileExistsError as error:
        raise ConfigError(word("init-exists", lang, file=file)) from error
    except OSError as error:
        text = word("init-cannot", lang, file=file, why=error.strerror)
        raise ConfigError(text) from error
    click.echo(word("init-done", lang, file=file))


def starter(lang: Language, name: str) -> str:
    """The plant file to begin with, with comments in `lang`; `name` is what it is called there."""
    text = files("vigia.commands").joinpath(f"starter.{lang}.yaml").read_text(encoding="utf-8")
    # In a comment of YAML nothing may stand that ends the line or cannot be printed.
    return text.replace("{file}", "".join(c if c.isprintable() else "?" for c in name))
