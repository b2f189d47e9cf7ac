"""The log of frames on Kafka, and where each asset's stream stands in it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from broker.cluster import Where
from broker.producer import Producer
from broker.reader import end_offsets, read_tail
from contracts.errors import DecodeError
from contracts.frames import FrameHeaders
from contracts.headers import header_map
from contracts.partitions import partition_of
from contracts.record import Outgoing, Record
from contracts.topics import FRAMES, topic_name
from edge.adapters.kafka import patiently
from edge.core.backlog import Posted
from edge.core.batches import Place
from edge.core.frame_chain import FrameParcel

_TAILS = (20, 100, 500)
_log = logging.getLogger(__name__)


class KafkaFrames:
    """`vigia.frames`. `process` names this agent, as edge/box-1."""

    def __init__(self, producer: Producer, *, bootstrap: Where, prefix: str, process: str) -> None:
        self._producer = producer
        self._bootstrap = bootstrap
        self._topic = topic_name(FRAMES, prefix)
        self._process = process

    async def places(self, assets: Sequence[str]) -> dict[str, Place]:
        """Where the stream of each asset stands. Waits until Kafka and the topic are there. At
        most the last 500 frames of a partition are looked at, as they are large."""
        ends = await patiently(lambda: end_offsets(self._bootstrap, self._topic))
        wanted: dict[int, set[str]] = {}
        for asset in assets:
            wanted.setdefault(partition_of(asset, len(ends)), set()).add(asset)
        found: dict[str, Place] = {}
        for partition, some in wanted.items():
            found |= await self._places_in(partition, some)
        return found

    async def write(self, parcel: FrameParcel) -> bool:
        """Returns once it is acknowledged. Raises MessageTooLarge, BrokerError."""
        await self._producer.send_all([self._outgoing(parcel.headers, parcel.value)])
        return False

    async def post(self, posted: Sequence[Posted]) -> None:
        """Writes frames that may come from the disk. Raises MessageTooLarge, BrokerError."""
        outgoing = []
        for note, place in posted:
            headers = FrameHeaders.model_validate_json(note.head).at(place.position)
            outgoing.append(self._outgoing(headers, note.value))
        await self._producer.send_all(outgoing)

    def _outgoing(self, headers: FrameHeaders, value: bytes) -> Outgoing:
        # The key alone finds the partition.
        key = headers.asset.encode()
        return Outgoing(self._topic, key, value, headers.headers(source=self._process))

    async def _places_in(self, partition: int, assets: set[str]) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for count in _TAILS:
            records = await patiently(
                partial(read_tail, self._bootstrap, self._topic, partition, count)
            )
            found = _last_places(records, assets)
            if len(found) == len(assets) or len(records) < count:
                break
        return found


def _last_places(records: Sequence[Record], assets: set[str]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for record in reversed(records):
        asset = (record.key or b"").decode(errors="replace")
        if asset in assets and asset not in found and (place := _place(record)):
            found[asset] = place
    return found


def _place(record: Record) -> Place | None:
    try:
        headers = FrameHeaders.parse(header_map(record.headers))
    except DecodeError as error:
        _log.warning("%s offset %d is no frame of ours: %s", record.topic, record.offset, error)
        return None
    return Place(headers.position, max(headers.max_before_us, headers.time_us))
