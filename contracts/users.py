"""Users with passwords, as files name them: `name:password` on each line."""

from __future__ import annotations

from contracts.errors import ConfigError

LEAST = 16
"""Characters of a token or a password: nobody types them, and they are tried over a network."""


def fit_secret(secret: str, where: str) -> str:
    """`secret` itself, which stands in `where`. Raises ConfigError where it is too easy to guess,
    or would not survive a header; it is not said what it is."""
    if len(secret) < LEAST or not secret.isascii() or not secret.isprintable():
        raise ConfigError(f"a secret in {where}: expected at least {LEAST} printable ASCII letters")
    return secret


def users_in(text: str, where: str) -> dict[str, str]:
    """The passwords of the users in a file's `text`, by their names; at least one. Raises
    ConfigError that names `where` they stand, never what they are."""
    wanted = f"the users in {where}: expected name:password on each line"
    found = {}
    for line in (line.strip() for line in text.splitlines()):
        name, colon, password = line.partition(":")
        if not line:
            continue
        if not name or not colon:
            raise ConfigError(wanted)
        found[name] = fit_secret(password, where)
    if not found:
        raise ConfigError(f"{wanted}, got none")
    return found
