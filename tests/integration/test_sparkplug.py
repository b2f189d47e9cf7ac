"""A node of Sparkplug B on a real Mosquitto, and an edge that asks it for its births."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from contracts.messages import SourceHealth
from tests.conftest import RunningKafka
from tests.integration.edge_world import (
    Log,
    check_chain,
    edge_process,
    make_topics,
    now_us,
    plant_text,
    rows_of,
)
from tests.integration.sparkplug_node import METRICS, EdgeNode
from tests.processes.mosquitto import Mosquitto

PLACE = {"group": "{site}", "node": "n1"}
SIGNALS = [
    {"id": name, "sparkplug": {**PLACE, "device": "{asset}", "metric": name}} for name in METRICS
]


@pytest.fixture
def plant(topic_prefix: str) -> str:
    return plant_text(topic_prefix.strip("."), signals=SIGNALS)


@pytest.fixture
def node(mosquitto: Mosquitto) -> Iterator[EdgeNode]:
    yield EdgeNode(mosquitto.port)


async def test_a_node_that_was_born_before_the_edge_loses_a_message_and_dies(
    kafka: RunningKafka,
    topic_prefix: str,
    mosquitto: Mosquitto,
    node: EdgeNode,
    plant: str,
    tmp_path: Path,
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(kafka.bootstrap, prefix)
    log, begin_ms = Log(kafka.bootstrap, prefix), now_us() // 1000

    async def rows(log: Log, count: int) -> dict[int, list[float]] | None:
        found = rows_of(await log.batches()).get("rig/a0", {})
        return found if len(found) >= count else None

    async def sources(log: Log, state: str) -> tuple[SourceHealth, ...] | None:
        status = await log.status()
        found = status.sources if status is not None else ()
        return found if found and all(one.state == state for one in found) else None

    assert yaml.safe_load(plant)["signal_sets"]["line"]["signals"] == SIGNALS
    with edge_process(tmp_path, plant, kafka.bootstrap, mosquitto.port) as edge:
        # Nobody told the edge of the aliases: it asks.
        edge.wait_until(lambda: node.births == 2)
        for number in range(20):
            node.measure(begin_ms + number, number)
        await log.until(lambda log: rows(log, 20))
        node.lose_a_message()
        node.measure(begin_ms + 20, 20.0)
        edge.wait_until(lambda: node.births == 3)
        node.measure(begin_ms + 21, 21.0)
        await log.until(lambda log: rows(log, 21))
        await log.until(lambda log: sources(log, "ok"))
        node.break_off()
        await log.until(lambda log: sources(log, "silent"))
        assert edge.terminate() == 0
    check_chain(await log.batches())
    numbers = [*range(20), 21]
    expected = {(begin_ms + number) * 1000: [float(number)] * 2 for number in numbers}
    assert await rows(log, 21) == expected
    status = await log.status()
    assert status is not None
    dropped = status.account["edge.mqtt"].dropped
    assert dropped["sequence"] == 1
    assert status.account["edge.mqtt"].missing == 0
    assert "sequence" in [reason for reason, _ in await log.letters()]
