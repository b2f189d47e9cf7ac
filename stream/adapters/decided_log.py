"""Up to where the log of detections says that windows are decided."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

import orjson

from broker.cluster import Where
from broker.reader import tail
from contracts.messages import MAX_JSON_BYTES
from contracts.partitions import partition_of
from contracts.plant import Plant
from contracts.record import Record
from stream.ports import Marks

FIRST, MOST = 2_000, 64_000
"""How many of the last messages of a partition are looked at first, and at most: four times as many
as before as long as something is not found."""

Key = tuple[str, str]


@dataclass(slots=True)
class DecidedLog:
    """See ports.Decided. `wanted` are the assets and detectors to look for: what has had no
    detection among the last MOST messages of its partition is not found. All workers of a plant
    ask, whenever partitions come to them, so that what lies on the log is not decided again by
    another version of a model or of the plant file."""

    bootstrap: Where
    topic: str
    wanted: dict[int, set[Key]] = field(default_factory=dict)
    """By partition."""

    async def load(self, partitions: Iterable[int]) -> Marks:
        mine = [partition for partition in sorted(partitions) if self.wanted.get(partition)]
        looks = [self._look(partition, self.wanted[partition]) for partition in mine]
        return {key: end for one in await asyncio.gather(*looks) for key, end in one.items()}

    async def _look(self, partition: int, wanted: set[Key]) -> Marks:
        count = FIRST
        while True:
            found: dict[Key, int] = {}
            seen = 0
            # One by one: this many messages may be a hundred megabytes.
            async with aclosing(tail(self.bootstrap, self.topic, partition, count)) as records:
                async for record in records:
                    seen += 1
                    mark(found, record)
            if wanted <= found.keys() or seen < count or count >= MOST:
                return found
            count *= 4


def looked_at(plant: Plant) -> dict[int, set[Key]]:
    """By partition, the assets that detectors of a plant look at, with each of these."""
    found: dict[int, set[Key]] = {}
    for asset in plant.assets():
        keys = {(asset, one.id) for one in plant.detectors_of(asset)}
        found.setdefault(partition_of(asset, plant.kafka.partitions), set()).update(keys)
    return found


def mark(found: dict[Key, int], record: Record) -> None:
    """Notes the largest end of a window for its asset and detector. What cannot be read says
    nothing: whoever works on detections tells of it."""
    for key, end in _ends(record.value):
        found[key] = max(end, found.get(key, end))


def _ends(value: bytes | None) -> Iterator[tuple[Key, int]]:
    # A DetectionBatch as an object would take twenty times as long, and all that is to be known of
    # a partition waits for this.
    if value is None or len(value) > MAX_JSON_BYTES:
        return
    try:
        batch = orjson.loads(value)
        key, end = (batch["asset"], batch["detector"]), max(batch["end_us"])
    except (ValueError, TypeError, KeyError):
        return
    if all(isinstance(name, str) for name in key) and type(end) is int:
        yield key, end
