"""Secrets, read when they are needed and never printed."""

from __future__ import annotations

import os
from pathlib import Path

from contracts.errors import ConfigError
from contracts.plant.sections import Secret


def read_secret(secret: Secret) -> str:
    """The secret's text, without the line's end. Raises ConfigError that says where it is
    missing, never what it is."""
    if secret.file is not None:
        try:
            return Path(secret.file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise ConfigError(f"secret file {secret.file}: {reason}") from None
    found = os.environ.get(secret.env or "")
    if found is None:
        raise ConfigError(f"secret: the environment has no {secret.env}")
    return found
