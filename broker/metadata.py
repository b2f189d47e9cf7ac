"""How often a client of Kafka asks who leads what."""

from __future__ import annotations

import asyncio
from typing import Any

EVERY_S = 0.1


def ask_seldom(client: Any) -> None:
    """Lets an AIOKafkaClient ask at most once in EVERY_S.

    After Kafka was stopped in order no partition has a leader, and aiokafka's producer and consumer
    ask for one again as soon as nobody answered: five thousand times a second, a whole core, for as
    long as Kafka is away.
    """
    update, clock = client._metadata_update, asyncio.get_running_loop().time
    asked = -EVERY_S

    async def patiently(*args: Any) -> Any:
        nonlocal asked
        await asyncio.sleep(max(0.0, asked + EVERY_S - clock()))
        asked = clock()
        return await update(*args)

    client._metadata_update = patiently
