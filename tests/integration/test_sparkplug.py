"""A node of Sparkplug B on a real Mosquitto, and an edge that asks it for its births."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from contracts.messages import SourceHealth
from edge.core.sparkplug import REBIRTH, read_payload
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
from tests.processes.mosquitto import Mosquitto
from tests.sparkplug import death, metric, payload

NODE, DEVICE = "spBv1.0/rig/{}/n1", "spBv1.0/rig/{}/n1/a0"
METRICS = ("flow", "pressure")
SIGNALS = [
    {
        "id": name,
        "sparkplug": {"group": "{site}", "node": "n1", "device": "{asset}", "metric": name},
    }
    for name in ("flow", "pressure")
]


class EdgeNode:
    """With one device of two metrics. It is born when it begins, and when it is asked to be."""

    def __init__(self, port: int) -> None:
        self.births = 0
        self._seq = 0
        self._lock = threading.RLock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.will_set(NODE.format("NDEATH"), death(1), qos=1)
        self._client.on_message = self._commanded
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(NODE.format("NCMD"), qos=1)
        self._client.loop_start()
        self.be_born()

    def be_born(self) -> None:
        with self._lock:
            self.births += 1
            self._seq = -1
            self._send(NODE.format("NBIRTH"), metric("bdSeq", datatype=4, integer=1))
            told = [
                metric(n, None, alias=i, datatype=10, null=True)
                for i, n in enumerate(("flow", "pressure"))
            ]
            self._send(DEVICE.format("DBIRTH"), *told)

    def measure(self, time_ms: int, value: float) -> None:
        both = [metric(alias=alias, value=value, time_ms=time_ms) for alias in (0, 1)]
        self._send(DEVICE.format("DDATA"), *both)

    def lose_a_message(self) -> None:
        with self._lock:
            self._seq += 1

    def break_off(self) -> None:
        """Its connection ends without a goodbye: the broker tells its death."""
        sock = self._client.socket()
        assert sock is not None
        self._client.loop_stop()
        sock.close()

    def _send(self, topic: str, *metrics: bytes) -> None:
        with self._lock:
            self._seq = (self._seq + 1) % 256
            self._client.publish(topic, payload(self._seq, *metrics, time_ms=None))

    def _commanded(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        (asked,) = read_payload(bytes(message.payload)).metrics
        assert (asked.name, asked.value) == (REBIRTH, 1)
        self.be_born()


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
