"""Rights that Kafka keeps for each user."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest

from broker.admin import admin
from broker.cluster import Where
from contracts.access import Access
from contracts.errors import BrokerError

_PATIENCE_S = 20.0
_LITERAL, _ALLOW, _ANY_HOST = 3, 3, "*"


class Kind(IntEnum):
    """As the protocol numbers what a right is about."""

    TOPIC = 2
    GROUP = 3


class Operation(IntEnum):
    """As the protocol numbers what may be done. READ and WRITE hold DESCRIBE."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8


@dataclass(frozen=True, slots=True)
class Grant:
    """A user may do this."""

    user: str
    operation: Operation
    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.user}: {self.operation.name} {self.kind.name.lower()} {self.name}"


def grants(access: Access, prefix: str) -> list[Grant]:
    """All rights that the file gives, with the names that topics and groups have in Kafka."""
    return [grant for user in access.users for grant in _of(access, user, prefix)]


def _of(access: Access, user: str, prefix: str) -> Iterator[Grant]:
    rights = access.users[user]
    for topic in rights.read:
        yield Grant(user, Operation.READ, Kind.TOPIC, f"{prefix}.{topic}")
    for topic in rights.write:
        yield Grant(user, Operation.WRITE, Kind.TOPIC, f"{prefix}.{topic}")
    for group in rights.consume_as:
        yield Grant(user, Operation.READ, Kind.GROUP, f"{prefix}-{group}")
    for group in rights.watch:
        yield Grant(user, Operation.DESCRIBE, Kind.GROUP, f"{prefix}-{group}")


async def allow(bootstrap: Where, wanted: Sequence[Grant]) -> None:
    """Gives these rights; those that are there stay. Raises BrokerError."""
    try:
        async with asyncio.timeout(_PATIENCE_S), admin(bootstrap) as client:
            for one in wanted:
                request = CreateAclsRequest(
                    one.kind,
                    one.name,
                    _LITERAL,
                    f"User:{one.user}",
                    _ANY_HOST,
                    one.operation,
                    _ALLOW,
                )
                code, text = (await client._send_to_controller(request)).creation_responses[0]
                if code:
                    raise BrokerError(f"{one}: {text or for_code(code).__name__}")
    except TimeoutError:
        text = f"Kafka at {bootstrap} did not take the rights in {_PATIENCE_S:.0f} s"
        raise BrokerError(text, retriable=True) from None
