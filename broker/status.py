"""Every process says once a second how it does, on `vigia.status`."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from broker.heap import Tidy
from contracts.errors import BrokerError
from contracts.headers import Headers
from contracts.messages import (
    Account,
    Histogram,
    PlantUse,
    SourceHealth,
    SpoolState,
    Status,
    encode_json,
    headers_for,
)
from contracts.topics import STATUS, topic_name

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_TIDY_S = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a room knows of itself at one moment; the publisher adds the rest."""

    account: dict[str, Account] = field(default_factory=dict)
    sources: tuple[SourceHealth, ...] = ()
    latencies: dict[str, Histogram] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    spools: dict[str, SpoolState] = field(default_factory=dict)
    plant: PlantUse | None = None


class Latency:
    """Counts durations into the buckets of a Histogram."""

    def __init__(self, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * len(bounds_s)
        self._sum_s = 0.0
        self._count = 0

    def observe(self, seconds: float) -> None:
        """Counts one duration; a negative one (clocks differ) as 0."""
        seconds = max(seconds, 0.0)
        self._sum_s += seconds
        self._count += 1
        bucket = bisect_left(self._bounds_s, seconds)
        if bucket < len(self._counts):
            self._counts[bucket] += 1

    def observe_all(self, seconds: NDArray[np.float64]) -> None:
        """Counts many durations [n]."""
        seconds = np.maximum(seconds, 0.0)
        self._sum_s += float(seconds.sum())
        self._count += len(seconds)
        buckets = np.bincount(np.searchsorted(self._bounds_s, seconds), minlength=1)
        for bucket, count in enumerate(buckets[: len(self._counts)].tolist()):
            self._counts[bucket] += count

    def histogram(self) -> Histogram:
        """The cumulative counts until now."""
        total, counts = 0, []
        for count in self._counts:
            total += count
            counts.append(total)
        return Histogram(
            bounds_s=self._bounds_s, counts=tuple(counts), sum_s=self._sum_s, count=self._count
        )


class Sender(Protocol):
    """The part of a Producer that is needed here."""

    async def send(self, topic: str, key: bytes, value: bytes, headers: Headers) -> object:
        """Returns once the record is acknowledged. Raises BrokerError."""


class StatusPublisher:
    """Publishes a Status each `interval_s`; `process` is like `edge/box-1`.

    While Kafka is away one message waits and none piles up. `figures` is called on the event
    loop and must be quick.
    """

    def __init__(
        self,
        producer: Sender,
        process: str,
        figures: Callable[[], Figures],
        *,
        prefix: str,
        interval_s: float = 1.0,
    ) -> None:
        self._producer = producer
        self._process = process
        self._figures = figures
        self._topic = topic_name(STATUS, prefix)
        self._interval_s = interval_s
        self._started_us = _now_us()
        self._system = psutil.Process()

    async def run(self) -> None:
        """Publishes until cancelled. A refusal is logged and tried again. Every minute the memory
        is tidied."""
        tidy, tidied_s = Tidy(), time.monotonic()
        while True:
            if time.monotonic() - tidied_s > _TIDY_S:
                tidied_s = time.monotonic()
                await asyncio.to_thread(tidy.turn)
            try:
                await self._publish()
            except BrokerError as error:
                _log.warning("status not sent: %s", error)
            await asyncio.sleep(self._interval_s)

    async def last(self, patience_s: float = 1.0) -> bool:
        """Publishes the last status of a clean stop; whether Kafka took it in time."""
        try:
            async with asyncio.timeout(patience_s):
                await self._publish()
        except (TimeoutError, BrokerError):
            return False
        return True

    def status(self) -> Status:
        """The status of this moment."""
        figures = self._figures()
        return Status(
            process=self._process,
            at_us=_now_us(),
            started_us=self._started_us,
            account=figures.account,
            sources=figures.sources,
            latencies=figures.latencies,
            rss_bytes=self._system.memory_info().rss,
            notes=figures.notes,
            spools=figures.spools,
            plant=figures.plant,
        )

    async def _publish(self) -> None:
        status = self.status()
        headers = headers_for(
            status,
            source=self._process,
            id=f"{self._process}:{status.at_us}",
            subject=self._process,
        )
        key = self._process.encode()
        await self._producer.send(self._topic, key, encode_json(status), headers)


def _now_us() -> int:
    return time.time_ns() // 1000
