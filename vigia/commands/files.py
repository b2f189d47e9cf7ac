"""Reading what an operator names."""

from __future__ import annotations

from pathlib import Path

from contracts.errors import ConfigError

_MOST_BYTES = 20_000_000


def read_bounded(file: Path) -> bytes:
    """Its bytes. Raises ConfigError when it cannot be read or is far too big."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    if len(raw) > _MOST_BYTES:
        raise ConfigError(f"{file}: expected at most {_MOST_BYTES} bytes")
    return raw


def read_text(file: Path) -> str:
    """The same as text. Raises ConfigError as above, and when it is not UTF-8."""
    try:
        return read_bounded(file).decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: expected UTF-8") from None
