"""aiokafka's producer without its clock: what waits for a broker waits, it never expires."""

from __future__ import annotations

import math
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerClosed

from broker.metadata import ask_seldom


class PatientProducer(AIOKafkaProducer):  # type: ignore[misc]
    """An idempotent producer whose batches have no time to live.

    aiokafka drops a batch that waited `request_timeout_ms` for a leader, even one that was
    sent before and may be in the log. Its number in the sequence is then used up: sending
    the records again doubles them or breaks the sequence. A batch that never expires is
    sent again under its own number, and the broker sees that it has it already.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(enable_idempotence=True, acks="all", **options)
        self._message_accumulator._batch_ttl = math.inf
        ask_seldom(self.client)

    async def abandon(self) -> None:
        """Stops sending and fails whatever is not acknowledged, so that nobody waits for it."""
        await self._sender.close()
        accumulator = self._message_accumulator
        waiting = [batch for queue in accumulator._batches.values() for batch in queue]
        # aiokafka takes a batch that fails out of this set, though one that waits to be
        # sent again is not in it.
        accumulator._pending_batches.update(waiting)
        accumulator.fail_all(ProducerClosed())
        for batch in waiting:
            # Looked at, so that asyncio does not report what nobody waited for.
            batch.future.exception()
            batch._drain_waiter.exception()
        await self.stop()
