"""Message headers: the CloudEvents 1.0 Kafka protocol binding, binary content mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contracts.errors import FieldError

Headers = list[tuple[str, bytes]]
NO_TIME = -(2**62)
"""No event time yet: before the first row of an asset."""
MOST = 2**62
"""Of whole numbers, times among them: what is added to them stays within 64 bits."""


def cloud_event(
    kind: str,
    *,
    source: str,
    id: str,
    content_type: str,
    subject: str | None = None,
    extensions: Mapping[str, str | int] | None = None,
) -> Headers:
    """The headers of one event. `kind` is like `vigia.readings.v1`; extension names are
    lower-case letters and digits, as the specification asks."""
    values: dict[str, str | int] = {
        "ce_specversion": "1.0",
        "ce_type": kind,
        "ce_source": source,
        "ce_id": id,
    }
    if subject is not None:
        values["ce_subject"] = subject
    values |= {f"ce_{name}": value for name, value in (extensions or {}).items()}
    values["content-type"] = content_type
    return [(name, str(value).encode()) for name, value in values.items()]


def header_map(headers: Iterable[tuple[str, bytes | None]] | None) -> dict[str, bytes]:
    """The headers by name; of a name that comes twice, the last."""
    return {name: value or b"" for name, value in headers or ()}


def int_header(headers: Mapping[str, bytes], name: str) -> int:
    """The whole number in header `name`, of at most MOST either way. Raises FieldError when it is
    missing or no such number."""
    raw = headers.get(name)
    if raw is None:
        raise FieldError(f"header {name} is missing", reason="header")
    try:
        number = int(raw)
    except ValueError:
        number = None
    if number is None or abs(number) > MOST:
        raise FieldError(
            f"header {name}: expected a whole number within 2**62, got {raw[:40]!r}",
            reason="header",
        )
    return number
