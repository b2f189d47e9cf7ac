"""How far consumer groups are behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporters.core.families import Family, gauge


@dataclass(frozen=True, slots=True)
class Lag:
    """One partition's records that a group has not committed."""

    group: str
    topic: str
    partition: int
    records: int


def lag_families(lags: tuple[Lag, ...]) -> Iterator[Family]:
    """The lags that were measured last; none while the broker does not answer."""
    yield gauge(
        "vigia_consumer_lag_records",
        "Records in the log that the consumer group has not committed.",
        ("group", "topic", "partition"),
        [((one.group, one.topic, str(one.partition)), one.records) for one in lags],
    )
