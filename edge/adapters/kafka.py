"""The log of readings on Kafka, and where each asset's stream stands in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import orjson

from broker.cluster import Where
from broker.producer import Producer
from broker.reader import end_offsets, read_tail
from contracts.deadletters import dead_letter
from contracts.errors import BrokerError, FieldError
from contracts.headers import header_map, int_header
from contracts.partitions import partition_of
from contracts.readings import ReadingBatch, encode, encode_position, position_of
from contracts.record import Outgoing, Record
from contracts.topics import DEAD_LETTERS, READINGS, topic_name
from edge.core.backlog import LETTER, Note, Posted
from edge.core.batches import Place
from edge.core.intake import Letter

_TAILS = (500, 4_000, 32_000)
_RETRY_S = 1.0
_SAY_AGAIN = 30
T = TypeVar("T")
_log = logging.getLogger(__name__)


class KafkaLog:
    """`vigia.readings` and `vigia.dead-letters`. `process` names this agent, as edge/box-1."""

    def __init__(self, producer: Producer, *, bootstrap: Where, prefix: str, process: str) -> None:
        self._producer = producer
        self._bootstrap = bootstrap
        self._readings = topic_name(READINGS, prefix)
        self._dead_letters = topic_name(DEAD_LETTERS, prefix)
        self._process = process
        self._partitions = 0
        self._partition_of: dict[str, int] = {}
        self._letters = 0

    async def places(self, assets: Sequence[str]) -> dict[str, Place]:
        """Where the stream of each asset stands, from the headers at the end of the log.

        Waits until Kafka and the topic are there. At most the last 32,000 batches of a
        partition are looked at: a running edge writes for each asset, also a silent one,
        every few seconds.
        """
        ends = await patiently(lambda: end_offsets(self._bootstrap, self._readings))
        self._partitions = len(ends)
        wanted: dict[int, set[str]] = {}
        for asset in assets:
            wanted.setdefault(self._partition(asset), set()).add(asset)
        found: dict[str, Place] = {}
        for partition, some in wanted.items():
            found |= await self._places_in(partition, some)
        return found

    def lane(self, asset: str) -> int:
        """The asset's partition."""
        return self._partition(asset)

    async def write(self, batches: Sequence[ReadingBatch]) -> frozenset[str]:
        """Returns once all batches are acknowledged."""
        await self._producer.send_all([self._record(batch) for batch in batches])
        return frozenset()

    async def post(self, posted: Sequence[Posted]) -> None:
        """Writes batches and dead letters that may come from the disk."""
        await self._producer.send_all([self._outgoing(*one) for one in posted])

    def note(self, letter: Letter) -> Note:
        """A dead letter to be posted."""
        out = self._letter(letter)
        headers = [(name, value.decode()) for name, value in out.headers]
        head = orjson.dumps([letter.topic, headers])
        return Note(LETTER, 0, 0, letter.received_us, 0, out.value or b"", head)

    async def write_letters(self, letters: Sequence[Letter]) -> None:
        """Returns once all are acknowledged."""
        await self._producer.send_all([self._letter(letter) for letter in letters])

    def _record(self, batch: ReadingBatch) -> Outgoing:
        value, headers = encode(batch, source=self._process)
        asset = batch.asset
        return Outgoing(self._readings, asset.encode(), value, headers, self._partition(asset))

    def _outgoing(self, note: Note, place: Place) -> Outgoing:
        if note.asset == LETTER:
            key, headers = orjson.loads(note.head)
            told = [(name, text.encode()) for name, text in headers]
            return Outgoing(self._dead_letters, key.encode(), note.value, told)
        asset = note.asset
        headers = encode_position(asset, place.position, note.newest_us, self._process)
        # The key alone finds the partition: what carries the backlog has asked for none.
        return Outgoing(self._readings, asset.encode(), note.value, headers)

    def _letter(self, letter: Letter) -> Outgoing:
        self._letters += 1
        value, headers = dead_letter(
            letter.payload,
            letter.error,
            source=self._process,
            origin=letter.topic,
            at_us=letter.received_us,
            number=self._letters,
        )
        return Outgoing(self._dead_letters, letter.topic.encode(), value, headers)

    def _partition(self, asset: str) -> int:
        partition = self._partition_of.get(asset)
        if partition is None:
            partition = self._partition_of[asset] = partition_of(asset, self._partitions)
        return partition

    async def _places_in(self, partition: int, assets: set[str]) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for count in _TAILS:
            records = await patiently(
                partial(read_tail, self._bootstrap, self._readings, partition, count)
            )
            found = _last_places(records, assets)
            if len(found) == len(assets) or len(records) < count:
                break
        return found


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Asks Kafka until it answers. Raises BrokerError when asking again does not help."""
    failures = 0
    while True:
        try:
            return await ask()
        except BrokerError as error:
            if not error.retriable:
                raise
            if failures % _SAY_AGAIN == 0:
                _log.warning("waiting for Kafka: %s", error)
            failures += 1
        await asyncio.sleep(_RETRY_S)


def _last_places(records: Sequence[Record], assets: set[str]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for record in reversed(records):
        asset = (record.key or b"").decode(errors="replace")
        if asset in assets and asset not in found and (place := _place(record)):
            found[asset] = place
    return found


def _place(record: Record) -> Place | None:
    headers = header_map(record.headers)
    try:
        position = position_of(headers)
        newest_us = int_header(headers, "ce_newest")
    except FieldError as error:
        _log.warning("%s offset %d is no batch of ours: %s", record.topic, record.offset, error)
        return None
    return Place(position, max(position.max_before_us, newest_us))
