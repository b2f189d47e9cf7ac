"""Which language a command speaks: what was asked for, else what the environment says."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from contracts.texts import LANGUAGES, Language

F = TypeVar("F", bound=Callable[..., Any])


def language_of(environment: Mapping[str, str]) -> Language:
    """Spanish where the locale is a Spanish one, as `es_CO.UTF-8`; else English."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "")
    spoken = locale.replace(".", "_").replace("@", "_").split("_")[0].lower()
    return next((lang for lang in LANGUAGES if lang == spoken), "en")


def language_option(command: F) -> F:
    """Adds --lang."""
    return click.option(
        "--lang",
        type=click.Choice(LANGUAGES),
        default=lambda: language_of(os.environ),
        show_default="the environment's LANG, else en",
    )(command)
