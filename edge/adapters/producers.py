"""The two ways to Kafka that an edge has."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from broker.producer import Producer
from edge.adapters.frame_kafka import KafkaFrames
from edge.adapters.kafka import KafkaLog
from edge.core.batches import Place

_GOODBYE_S = 0.3


@dataclass(frozen=True, slots=True)
class Producers:
    """`live` carries readings as they come; `patient` what they must not wait for: frames, which
    are large, and what comes from the disk. `there` is done when both are connected."""

    live: Producer
    patient: Producer
    there: asyncio.Task[None]

    async def ask(self, log: KafkaLog | KafkaFrames, assets: Collection[str]) -> dict[str, Place]:
        """Where the streams stand, once Kafka says so."""
        await asyncio.shield(self.there)
        return await log.places(tuple(assets))

    async def stop(self) -> None:
        """Ends both."""
        self.there.cancel()
        await asyncio.gather(self.there, return_exceptions=True)
        await asyncio.gather(self.live.stop(_GOODBYE_S), self.patient.stop(_GOODBYE_S))
