"""Readings to detections on the log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from broker.status import Latency
from contracts.deadletters import dead_letter
from contracts.errors import MessageError
from contracts.identity import detection_id
from contracts.messages import Account, DetectionBatch, encode_json, headers_for
from contracts.partitions import partition_of
from contracts.plant.model import Kafka
from contracts.readings import ReadingDecoder
from contracts.record import Outgoing, Record
from contracts.topics import DEAD_LETTERS, DETECTIONS, topic_name
from stream.core.detect import Detect
from stream.ports import Publisher

MAX_ITEMS = 500
"""Detections in one message: keeps it far below the broker's limit."""


@dataclass(slots=True)
class DetectAgent:
    """Runs a `Detect` on records. Decoding, windows and scoring happen in a thread, so that
    the event loop keeps its heartbeats however long a model takes."""

    detect: Detect
    publisher: Publisher
    kafka: Kafka
    source: str
    now_us: Callable[[], int]
    latency: Latency = field(default_factory=Latency)
    unusable: Counter[str] = field(default_factory=Counter)
    decoder: ReadingDecoder = field(default_factory=ReadingDecoder)
    _accounts: dict[str, Account] = field(default_factory=dict)

    async def assigned(self, partitions: frozenset[int]) -> None:
        self.detect.assign(partitions)
        self._accounts = self.detect.accounts()

    async def handle(self, records: Sequence[Record]) -> Mapping[int, int]:
        batches, letters = await asyncio.to_thread(self._step, records)
        await self.publisher.send_all([*self._outgoing(batches), *letters])
        self.detect.acknowledged(batches)
        now = self.now_us()
        for batch in batches:
            for one in batch.items:
                self.latency.observe((now - one.received_us) / 1e6)
        self._accounts = self.detect.accounts()
        return self.detect.heads()

    def accounts(self) -> Mapping[str, Account]:
        return self._accounts

    def _step(self, records: Sequence[Record]) -> tuple[list[DetectionBatch], list[Outgoing]]:
        letters = []
        for record in records:
            try:
                batch = self.decoder.decode(record.value, record.headers)
            except MessageError as error:
                letters.append(self._letter(record, error))
                self.detect.skip(record.partition, record.offset)
            else:
                self.detect.take(record.partition, record.offset, batch)
        return self.detect.score(), letters

    def _outgoing(self, batches: Sequence[DetectionBatch]) -> list[Outgoing]:
        topic = topic_name(DETECTIONS, self.kafka.prefix)
        return [
            Outgoing(
                topic,
                batch.asset.encode(),
                encode_json(batch),
                headers_for(
                    batch,
                    source=self.source,
                    # The parts of a batch differ between runs; what they hold does not.
                    id=detection_id(
                        batch.asset,
                        batch.detector,
                        batch.items[0].start_us,
                        batch.items[-1].end_us,
                        len(batch.items),
                    ),
                    subject=batch.asset,
                ),
                partition_of(batch.asset, self.kafka.partitions),
            )
            for whole in batches
            for batch in _parts(whole)
        ]

    def _letter(self, record: Record, error: MessageError) -> Outgoing:
        self.unusable[error.reason] += 1
        value, headers = dead_letter(
            record.value or b"",
            error,
            source=self.source,
            origin=f"{record.topic}/{record.partition}/{record.offset}",
            at_us=record.timestamp_ms * 1000,
            number=record.offset,
        )
        topic = topic_name(DEAD_LETTERS, self.kafka.prefix)
        return Outgoing(topic, record.topic.encode(), value, headers)


def _parts(batch: DetectionBatch) -> list[DetectionBatch]:
    if len(batch.items) <= MAX_ITEMS:
        return [batch]
    return [
        batch.model_copy(update={"items": batch.items[at : at + MAX_ITEMS]})
        for at in range(0, len(batch.items), MAX_ITEMS)
    ]
