"""The command `vigia`: each room's commands, and those that look at the whole line."""

from __future__ import annotations

import click

from vigia.lazy import Lazy, LazyGroup

_COMMANDS = {
    "demo": Lazy("vigia.demo.__main__:demo", "The whole line on real data, live in this terminal."),
    "init": Lazy("vigia.commands.init:init", "Write a commented plant file to begin with."),
    "run": Lazy("vigia.commands.run:run", "All rooms on this box, for a plant of your own."),
    "config": Lazy("vigia.commands.config:config", "Check a plant file and what it names."),
    "topics": Lazy("vigia.commands.topics:topics", "Create and list the topics."),
    "tail": Lazy("vigia.commands.tail:tail", "Show the messages of a topic, decoded."),
    "alarms": Lazy("vigia.commands.alarms:alarms", "Show the present state of all alarms."),
    "evidence": Lazy("vigia.commands.evidence:evidence", "The pictures behind camera alarms."),
    "kafka": Lazy("vigia.commands.kafka:kafka", "Apache Kafka itself, by settings of your own."),
    "users": Lazy("vigia.commands.users:users", "Give Kafka's users their passwords."),
    "health": Lazy("vigia.commands.health:health", "Whether a process works, by its health file."),
    "edge": Lazy("edge.__main__:cli", "The agent at a site: MQTT in, Kafka out."),
    "stream": Lazy("stream.__main__:cli", "The workers: windows, detectors, alarms."),
    "exporters": Lazy("exporters.__main__:cli", "What the outside sees: Prometheus."),
}


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        click.echo(f"vigia {version('vigia')}")
        ctx.exit()


@click.group(
    cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version.",
)
def cli() -> None:
    """Watches a plant: cameras and sensors go in; few, trustworthy alarms come out."""


def main() -> None:
    """The entry point."""
    cli(prog_name="vigia")


if __name__ == "__main__":
    main()
