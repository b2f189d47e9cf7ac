"""Readings to detections, and to panes, on the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from broker.status import Latency
from contracts.errors import MessageError
from contracts.headers import Headers, cloud_event
from contracts.messages import KINDS, Account, DetectionBatch
from contracts.partitions import partition_of
from contracts.plant.model import Kafka
from contracts.readings import ReadingBatch, ReadingDecoder
from contracts.readings import encode as encode_readings
from contracts.record import Outgoing, Record
from contracts.topics import AGGREGATES, DETECTIONS, Topic, topic_name
from stream.adapters.letters import Letters
from stream.core.detect import Detect, Fetched, Ready, panes_in
from stream.core.detectors import Encoded, Results
from stream.ports import Decided, Marks, Publisher, Settled

PART_BYTES = 200_000
"""Bytes of messages after which what is ready is scored, beside the next ones."""
PANES_PART_BYTES = 2_000_000
"""The same for panes. A message holds one and is a kilobyte of description, and a step looks at all
the panes that an asset has open: a part costs more than its messages."""


Scoring = tuple[Ready, "Future[Results]"]


@dataclass(slots=True)
class DetectAgent:
    """Runs a `Detect` on records. Decoding, windows and scoring happen in a thread, so that
    the event loop keeps its heartbeats however long a model takes."""

    detect: Detect
    publisher: Publisher
    kafka: Kafka
    source: str
    now_us: Callable[[], int]
    decided: Decided | None = None
    latency: Latency = field(default_factory=Latency)
    part_bytes: int = PART_BYTES
    decoder: ReadingDecoder = field(default_factory=ReadingDecoder)
    _letters: Letters = field(init=False)
    _accounts: dict[str, Account] = field(default_factory=dict)
    _stepping: bool = False
    _scorer: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="scorer")
    )

    def __post_init__(self) -> None:
        self._letters = Letters(self.kafka.prefix, self.source)

    async def assigned(self, partitions: frozenset[int]) -> None:
        known: Marks = {}
        if self.decided is not None and self.detect.looks:
            known = await self.decided.load(partitions)
        self.detect.assign(partitions, known)
        self._note()

    async def handle(self, records: Sequence[Record]) -> Settled:
        self._stepping = True
        scoring, letters = await asyncio.to_thread(self._step, records)
        self._stepping = False
        complete, heads = self.detect.complete(), self.detect.heads()
        windows, panes = sum(len(one.block) for one, _ in scoring), panes_in(complete)
        self.detect.windows.sent(windows)
        self.detect.panes.sent(panes)

        async def settle() -> Mapping[int, int]:
            # Mostly nothing is to be sent, and a thread's turn costs as much as ten messages.
            batches = await asyncio.to_thread(self._outgoing, scoring) if scoring else []
            await self.publisher.send_all([*map(self._pane, complete), *batches, *letters])
            self.detect.acknowledged(windows, panes)
            self._observe(scoring)
            self._note()
            return heads

        self._note()
        return settle

    def _note(self) -> None:
        """Keeps what the books say now, unless a step is writing in them."""
        if not self._stepping:
            self._accounts = self._account()

    def _account(self) -> dict[str, Account]:
        name = f"{self.detect.stage}reading-messages"
        return {name: self._letters.account(), **self.detect.accounts()}

    def accounts(self) -> Mapping[str, Account]:
        return self._accounts

    def _step(self, records: Sequence[Record]) -> tuple[list[Scoring], list[Outgoing]]:
        """A model runs beside the decoding of the next records: it does not need the
        interpreter's lock, and decoding does."""
        letters: list[Outgoing] = []
        self._letters.taken_in += len(records)
        scoring: list[Scoring] = []
        for part in parts(records, self.part_bytes):
            self.detect.take([self._fetched(record, letters) for record in part])
            for one in self.detect.ready():
                scoring.append((one, self._scorer.submit(one.detect)))
        return scoring, letters

    def _fetched(self, record: Record, letters: list[Outgoing]) -> Fetched:
        batch = None
        try:
            batch = self.decoder.decode(record.value, record.headers)
        except MessageError as error:
            letters.append(self._letters.letter(record, error))
        else:
            self._letters.used += 1
        return Fetched(record.partition, record.offset, batch)

    def _outgoing(self, scoring: Sequence[Scoring]) -> list[Outgoing]:
        """The detections, as soon as they are there."""
        return [
            self._message(batch)
            for one, future in scoring
            for batch in self.detect.detections(one, future.result())
        ]

    def _message(self, batch: Encoded) -> Outgoing:
        headers = cloud_event(
            KINDS[DetectionBatch],
            source=self.source,
            id=batch.id,
            subject=batch.asset,
            content_type="application/json",
        )
        return self._sent(DETECTIONS, batch.asset, batch.value, headers)

    def _pane(self, batch: ReadingBatch) -> Outgoing:
        value, headers = encode_readings(batch, source=self.source)
        return self._sent(AGGREGATES, batch.asset, value, headers)

    def _sent(self, topic: Topic, asset: str, value: bytes, headers: Headers) -> Outgoing:
        partition = partition_of(asset, self.kafka.partitions)
        return Outgoing(
            topic_name(topic, self.kafka.prefix), asset.encode(), value, headers, partition
        )

    def _observe(self, scoring: Sequence[Scoring]) -> None:
        now = self.now_us()
        for one, _ in scoring:
            live = one.block.received_us[~one.block.backfill]
            self.latency.observe_all((now - live) / 1e6)


def parts(records: Sequence[Record], most: int = PART_BYTES) -> Iterator[Sequence[Record]]:
    """The records in parts of about `most` bytes, in order."""
    begin = size = 0
    for at, record in enumerate(records, 1):
        size += len(record.value or b"")
        if size >= most or at == len(records):
            yield records[begin:at]
            begin, size = at, 0
