"""Passwords that Kafka keeps for its users."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping

from aiokafka.errors import ClusterAuthorizationFailedError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from broker.admin import admin
from broker.cluster import Where
from contracts.errors import BrokerError

_PATIENCE_S = 20.0
_SHA_512 = 2
_ITERATIONS = 8192
"""As RFC 7677 has it, at least 4096; Kafka takes up to 16,384."""
_TEXT = CompactString("utf-8")


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", _TEXT),
                ("error_code", Int16),
                ("error_message", _TEXT),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]
    """AlterUserScramCredentials, which aiokafka does not have (KIP-554)."""

    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(("name", _TEXT), ("mechanism", Int8), ("tags", TaggedFields)),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", _TEXT),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _SetPasswords(Request[_Question]):  # type: ignore[misc]
    API_KEY = 51

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class([], [_credential(*one) for one in self._users.items()], {})


def _credential(name: str, password: str) -> tuple[str, int, int, bytes, bytes, dict[int, bytes]]:
    salt = secrets.token_bytes(32)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return name, _SHA_512, _ITERATIONS, salt, salted, {}


async def set_passwords(bootstrap: Where, users: Mapping[str, str]) -> None:
    """From now on Kafka lets each of these in by SCRAM-SHA-512 with this password and no other; who
    is not named keeps the old one, and who is connected stays connected. Raises BrokerError that
    names the user, never a password."""
    try:
        async with asyncio.timeout(_PATIENCE_S), admin(bootstrap) as client:
            answer = await client._send_to_controller(_SetPasswords(users))
    except TimeoutError:
        text = f"Kafka at {bootstrap} did not take the passwords in {_PATIENCE_S:.0f} s"
        raise BrokerError(text, retriable=True) from None
    for user, code, text, _ in answer.results:
        if code == ClusterAuthorizationFailedError.errno:
            raise BrokerError(f"Kafka at {bootstrap}: whom we come as may not set passwords")
        if code:
            raise BrokerError(f"the password of {user}: {text or for_code(code).__name__}")
