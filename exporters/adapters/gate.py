"""Who may read the metrics."""

from __future__ import annotations

import base64
import binascii
import hmac
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from broker.tls import show
from contracts.errors import ConfigError
from contracts.users import fit_secret, users_in


@dataclass(frozen=True, slots=True)
class Gate:
    """What a reader must show: the bearer token, or one of the users with its password, whichever
    there are; and over TLS a certificate of the client's CA, where there is one."""

    token: str | None = field(default=None, repr=False)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    certified: bool = False

    @classmethod
    def of(
        cls,
        token_file: Path | None = None,
        users_file: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        client_ca: Path | None = None,
    ) -> Gate:
        """Raises ConfigError for a file that cannot be read or used."""
        if (certificate is None) != (key is None):
            raise ConfigError("expected --tls-certificate and --tls-key together")
        if client_ca is not None and certificate is None:
            raise ConfigError("--client-ca: expected --tls-certificate and --tls-key beside it")
        tls = _tls(certificate, key, client_ca) if certificate and key else None
        token = None
        if token_file is not None:
            token = fit_secret(_text(token_file, "token").strip(), str(token_file))
        users = users_in(_text(users_file, "users"), str(users_file)) if users_file else {}
        return cls(token, users, tls, client_ca is not None)

    @property
    def shut(self) -> bool:
        """Whether a reader must show anything at all."""
        return self.certified or self.token is not None or bool(self.users)

    @property
    def challenge(self) -> str:
        """What to ask of who shows nothing."""
        return 'Basic realm="vigia", charset="UTF-8"' if self.users else "Bearer"

    def admits(self, authorization: str) -> bool:
        """Whether this header opens."""
        if self.token is None and not self.users:
            return True
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and self.token is not None:
            return _same(given, self.token)
        return scheme.lower() == "basic" and self._knows(given)

    def _knows(self, given: str) -> bool:
        try:
            name, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return False
        # Compared for unknown names too, so that the time does not tell who there is.
        known = self.users.get(name)
        return _same(password, known or "") and known is not None


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())


def _text(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"the {what} file {file} cannot be read: {reason}") from None


def _tls(certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    show(context, certificate, key, ("--tls-certificate", "--tls-key"))
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"--client-ca {client_ca}: {error.strerror or error}") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context
