"""Outgoing records put into batches, one partition a batch, each partition's order kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from contracts.errors import MessageTooLarge
from contracts.record import Outgoing


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one partition, in the order in which they were given."""

    topic: str
    partition: int
    records: list[Outgoing]


def size_of(record: Outgoing) -> int:
    """The bytes of a batch that holds this record alone, at most."""
    size: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(
        record.key, record.value, record.headers
    )
    return size


def check_size(record: Outgoing, limit: int) -> int:
    """The record's size. Raises MessageTooLarge above `limit` bytes."""
    size = size_of(record)
    if size > limit:
        raise MessageTooLarge(
            f"a message for {record.topic} has {size} bytes, the limit is {limit}"
        )
    return size


def batches(
    records: Iterable[tuple[Outgoing, int]], *, most_bytes: int, record_limit: int
) -> Iterator[Batch]:
    """Cuts `(record, partition)` pairs into batches of at most `most_bytes`, or one record.

    Raises MessageTooLarge for a record above `record_limit`.
    """
    filling: dict[tuple[str, int], list[Outgoing]] = {}
    sizes: dict[tuple[str, int], int] = {}
    for record, partition in records:
        place = (record.topic, partition)
        size = check_size(record, record_limit)
        if sizes.get(place, 0) + size > most_bytes and place in filling:
            yield Batch(*place, filling.pop(place))
            sizes[place] = 0
        filling.setdefault(place, []).append(record)
        sizes[place] = sizes.get(place, 0) + size
    for place, rest in filling.items():
        yield Batch(*place, rest)
