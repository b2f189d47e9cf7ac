"""A click group whose commands are loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

from contracts.errors import VigiaError


@dataclass(frozen=True, slots=True)
class Lazy:
    """Where a command lies (`module:attribute`), and its line in the list of commands."""

    target: str
    help: str

    def load(self) -> click.Command:
        """The command itself."""
        module, _, name = self.target.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


class Refusal(click.ClickException):
    """A VigiaError as the operator sees it: its text, exit code 2, no traceback."""

    exit_code = 2

    def format_message(self) -> str:
        return f"vigia: {self.message}"

    def show(self, file: Any = None) -> None:
        click.echo(self.format_message(), file=file, err=True)


class LazyGroup(click.Group):
    """Starts fast: the list of commands is written without loading them."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self._lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        one = self._lazy.get(cmd_name)
        return one.load() if one else super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.help) for name, one in self._lazy.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except VigiaError as error:
            raise Refusal(str(error)) from error
