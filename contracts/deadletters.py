"""`vigia.dead-letters`: the bytes that could not be used, and why."""

from __future__ import annotations

from contracts.errors import MessageError
from contracts.headers import Headers, cloud_event

KIND = "vigia.dead-letter.v1"
MAX_BYTES = 900_000
MAX_TEXT = 500


def dead_letter(
    value: bytes, error: MessageError, *, source: str, origin: str, at_us: int, number: int
) -> tuple[bytes, Headers]:
    """The letter for one unusable message. `origin` is the MQTT or Kafka topic it came from;
    `number` counts the source's letters. What exceeds MAX_BYTES is cut, and the size said."""
    headers = cloud_event(
        KIND,
        source=source,
        id=f"{source}:{at_us}:{number}",
        content_type="application/octet-stream",
        subject=origin,
        extensions={
            "reason": error.reason,
            "text": str(error)[:MAX_TEXT],
            "size": len(value),
            "receivedat": at_us,
        },
    )
    return value[:MAX_BYTES], headers
