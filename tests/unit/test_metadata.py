"""A client whose Kafka is away does not ask for it without a pause."""

from __future__ import annotations

import asyncio
from typing import Any

from broker.metadata import EVERY_S, ask_seldom


class Client:
    """Nobody answers it."""

    asked = 0

    async def _metadata_update(self, *args: Any) -> bool:
        self.asked += 1
        return False


async def test_it_asks_again_after_a_while() -> None:
    client = Client()
    ask_seldom(client)
    clock = asyncio.get_running_loop().time
    begin = clock()
    for _ in range(4):
        assert await client._metadata_update("cluster", ["topic"]) is False
    assert client.asked == 4
    assert clock() - begin >= 3 * EVERY_S * 0.99
