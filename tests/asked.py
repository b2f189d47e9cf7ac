"""What a long run is asked for, by its environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def asked(settings: Callable[..., T], prefix: str) -> T:
    """A dataclass of whole numbers, each from the variable PREFIX_NAME where that is set. Ends the
    program where one is no whole number."""
    given: dict[str, Any] = {}
    for field in fields(settings):  # type: ignore[arg-type]
        name = f"{prefix}_{field.name.upper()}"
        if (text := os.environ.get(name)) is not None:
            try:
                given[field.name] = int(text)
            except ValueError:
                raise SystemExit(f"{name}: expected a whole number, got {text!r}") from None
    return settings(**given)
