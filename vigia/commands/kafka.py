"""`vigia kafka`: Apache Kafka itself, where something else than `vigia run` supervises it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

from broker.kafka_java import format_once, java, server
from contracts.errors import ConfigError
from contracts.users import users_in
from vigia.commands.files import read_text


@click.command()
@click.option(
    "--properties",
    "properties_file",
    required=True,
    type=click.Path(path_type=Path),
    help="Kafka's settings, as deploy/kafka/server.properties.",
)
@click.option(
    "--users",
    "users_file",
    type=click.Path(path_type=Path),
    help="File with name:password on each line: whom it lets in by SCRAM, from the first start on.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting that counts in place of the file's; may be given again.",
)
@click.option("--heap-mb", default=384, show_default=True, type=click.IntRange(128, 32_768))
def kafka(
    properties_file: Path, users_file: Path | None, settings: tuple[str, ...], heap_mb: int
) -> None:
    """Apache Kafka, until SIGTERM. This process becomes it.

    At the first start it formats the folder `log.dirs`. What it unpacks lies in a folder of its own
    under the temporary one, from which programs must be allowed to run; it ends with the process.
    """
    text = read_text(properties_file) + "".join(f"\n{_setting(one)}" for one in settings) + "\n"
    users = users_in(read_text(users_file), str(users_file)) if users_file else {}
    data = _data(text, properties_file)
    scratch = Path(tempfile.mkdtemp(prefix="vigia-kafka-"))
    _remove_at_the_end(scratch)
    in_force = scratch / "server.properties"
    in_force.write_text(text, encoding="utf-8")
    command = java(scratch)
    format_once(command, data, in_force, users, scratch / "format.args")
    argv = server(command, heap_mb, in_force)
    sys.stdout.flush()
    os.execv(argv[0], argv)


def _remove_at_the_end(folder: Path) -> None:
    """Once this process has ended, however that may be and whatever it has become by then."""
    ended, mine = os.pipe()
    script = 'trap "" HUP INT TERM; read -r _; rm -rf -- "$0"'
    quiet = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    words = ["sh", "-c", script, str(folder)]
    reads = (os.POSIX_SPAWN_DUP2, ended, 0)
    os.posix_spawnp(words[0], words, os.environ, file_actions=[reads, quiet])
    os.close(ended)
    # Java inherits it, and the kernel closes it at the end.
    os.set_inheritable(mine, True)


def _setting(given: str) -> str:
    name, equals, _ = given.partition("=")
    if not equals or not name.replace(".", "").replace("-", "").isalnum() or "\n" in given:
        raise ConfigError(f"--set: expected NAME=VALUE, got {given!r}")
    return given


def _data(text: str, file: Path) -> Path:
    """The folder that Kafka keeps its data in; the last line that names it counts."""
    named = [line.partition("=") for line in text.splitlines()]
    found = [value.strip() for name, _, value in named if name.strip() == "log.dirs"]
    if not found or "," in found[-1]:
        raise ConfigError(f"{file}: expected one folder as log.dirs")
    return Path(found[-1])
