"""Why a Kafka does not let us in, for a person."""

from __future__ import annotations

import os
import ssl

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from broker.cluster import Cluster, Where, cluster
from broker.tls import tls_fault

PATIENCE_MS = 5_000


async def refusal(where: Where) -> str | None:
    """Why the first of its brokers that does not let us in does not; None where all do. Opens a
    connection to each and closes it again."""
    kafka = cluster(where).fresh()
    for host, port in kafka.hosts():
        if why := await _refused(kafka, host, port):
            return why
    return None


async def _refused(kafka: Cluster, host: str, port: int) -> str | None:
    options = {**kafka.options(), "request_timeout_ms": PATIENCE_MS}
    del options["bootstrap_servers"]
    connection = AIOKafkaConnection(host, port, client_id="vigia-probe", **options)
    try:
        await connection.connect()
        # What versions it speaks it tells everybody; this only those whom it lets in.
        await connection.send(MetadataRequest([]))
    except (OSError, KafkaError, TimeoutError) as error:
        return _why(error, kafka)
    finally:
        connection.close()
    return None


def _why(error: BaseException, kafka: Cluster) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return tls_fault(cause, "kafka")
    if isinstance(error, SaslAuthenticationFailed):
        return f"the broker knows no user {kafka.user and kafka.user.name} with this password"
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"the broker does not let users in by {kafka.user and kafka.user.mechanism}"
    if isinstance(error, TimeoutError):
        return "nothing answers in time"
    if isinstance(error, KafkaError):
        return f"it closes the connection of {_offered(kafka)}: does it ask for something else?"
    if isinstance(error, ConnectionError) and error.errno:
        # asyncio says by whom a connection was refused in words of its own.
        return os.strerror(error.errno)
    return (isinstance(error, OSError) and error.strerror) or "it cannot be reached"


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _offered(kafka: Cluster) -> str:
    tls = "with TLS" if kafka.tls is not None else "without TLS"
    return f"a client {tls} and {'a user' if kafka.user is not None else 'without a user'}"
