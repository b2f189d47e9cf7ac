"""A Kafka, and how to be let in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, Literal

from aiokafka.conn import collect_hosts

from broker.secrets import read_secret
from broker.tls import tls_context
from contracts.errors import ConfigError
from contracts.plant.model import Kafka
from contracts.plant.sections import Secret

Who = Literal["edge", "stream", "exporters", "operator", "admin"]
"""A room; `operator` looks at topics and alarms by commands, `admin` makes topics."""
ROOM = "{room}"
"""Stands for who asks, in the name of the user and where the password is, so that each has a user
of its own by one plant file."""


@dataclass(frozen=True, slots=True)
class User:
    """Who we are to Kafka, by SASL."""

    name: str
    password: str = field(repr=False)
    mechanism: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a Kafka is (`HOST:PORT`, several with commas), and how to be let in."""

    bootstrap: str
    tls: SSLContext | None = None
    user: User | None = None
    again: Callable[[], Cluster] | None = field(default=None, repr=False, compare=False)
    """Reads files and secrets once more."""

    def __post_init__(self) -> None:
        """Raises ConfigError for an address that is none."""
        try:
            self.hosts()
        except ValueError:
            told = f"Kafka: expected HOST:PORT, got {self.bootstrap!r}"
            raise ConfigError(told) from None

    @classmethod
    def of(cls, kafka: Kafka, who: Who, bootstrap: str | None = None) -> Cluster:
        """By what the plant file says of it, for `who` asks; at `bootstrap`, where that is given.
        Raises ConfigError where there is none, or for a file or a secret that cannot be read."""
        bootstrap = bootstrap or kafka.bootstrap
        if bootstrap is None:
            raise ConfigError("no Kafka is named: give --kafka HOST:PORT or kafka.bootstrap")
        user = None
        if kafka.username is not None and kafka.password is not None:
            name = kafka.username.replace(ROOM, who)
            user = User(name, read_secret(_secret_of(kafka.password, who)), kafka.mechanism)
        tls = tls_context(kafka, "kafka")
        return cls(bootstrap, tls, user, lambda: cls.of(kafka, who, bootstrap))

    def __str__(self) -> str:
        return self.bootstrap

    def hosts(self) -> list[tuple[str, int]]:
        """Those of `bootstrap`; without a port Kafka's usual one."""
        return [(host, port) for host, port, _ in collect_hosts(self.bootstrap, randomize=False)]

    @property
    def protocol(self) -> str:
        """What Kafka calls this kind of listener."""
        kind = "PLAINTEXT" if self.tls is None else "SSL"
        return kind if self.user is None else f"SASL_{kind}"

    def fresh(self) -> Cluster:
        """The same, with the certificates and passwords that are on disk now: they are renewed
        while we run. Where one cannot be read, as they were."""
        try:
            return self if self.again is None else self.again()
        except ConfigError:
            return self

    def options(self) -> dict[str, Any]:
        """What a client of aiokafka takes."""
        found: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.protocol,
        }
        if self.tls is not None:
            found["ssl_context"] = self.tls
        if self.user is not None:
            found["sasl_mechanism"] = self.user.mechanism
            found["sasl_plain_username"] = self.user.name
            found["sasl_plain_password"] = self.user.password
        return found


def _secret_of(secret: Secret, who: Who) -> Secret:
    return Secret(
        file=secret.file and secret.file.replace(ROOM, who),
        env=secret.env and secret.env.replace(ROOM, who),
    )


Where = Cluster | str
"""A str is `HOST:PORT` of a Kafka that asks for nothing, as our own one on this box."""


def cluster(where: Where) -> Cluster:
    """The same, as a Cluster."""
    return where if isinstance(where, Cluster) else Cluster(where)
