"""The edge loses nothing when it, MQTT's broker or Kafka goes away under load."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from broker.kafka_local import LocalKafka
from contracts.readings import ReadingBatch
from tests.conftest import RunningKafka
from tests.integration.edge_world import (
    Log,
    Publisher,
    check_chain,
    edge_process,
    make_topics,
    now_us,
    plant_text,
    publisher,
    rows_of,
)
from tests.processes.clocks import clock_of
from tests.processes.mosquitto import Mosquitto

ASSETS = ("a0", "a1")
Expected = dict[str, dict[int, list[float]]]


class Load:
    """Rows of both assets, a hundred a second, with what must arrive of them."""

    def __init__(self, device: Publisher) -> None:
        self._device = device
        self.expected: Expected = {f"rig/{asset}": {} for asset in ASSETS}
        self._count = 0

    async def run(self, rows: int) -> None:
        for _ in range(rows):
            self._count += 1
            for asset in ASSETS:
                time_us = now_us()
                self._device.row(asset, time_us, self._count)
                self.expected[f"rig/{asset}"][time_us] = [float(self._count)] * 2
            await asyncio.sleep(0.01)


async def arrived(log: Log, expected: Expected) -> None:
    async def all_there(log: Log) -> bool:
        return rows_of(await log.batches()) == expected

    await log.until(all_there)


async def test_mqtt_broker_restarted(
    kafka: RunningKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(kafka.bootstrap, prefix)
    log, plant = Log(kafka.bootstrap, prefix), plant_text(prefix, assets=2)
    with (
        edge_process(tmp_path, plant, kafka.bootstrap, mosquitto.port) as edge,
        publisher(mosquitto.port) as device,
    ):
        load = Load(device)
        await load.run(100)
        mosquitto.stop()
        await load.run(50)
        mosquitto.start()
        await load.run(100)
        device.settle()
        await arrived(log, load.expected)
        edge.wait_until(lambda: edge.said("MQTT: ") == 2)
        assert edge.terminate() == 0
    check_chain(await log.batches())
    await _books_balance(log)


async def test_kafka_restarted_under_load(
    own_kafka: LocalKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(own_kafka.bootstrap, prefix)
    log, plant = Log(own_kafka.bootstrap, prefix), plant_text(prefix, assets=2, idle="1s")
    with (
        edge_process(tmp_path, plant, own_kafka.bootstrap, mosquitto.port) as edge,
        publisher(mosquitto.port) as device,
    ):
        load = Load(device)
        await load.run(100)
        await asyncio.to_thread(own_kafka.stop)
        await load.run(400)
        await asyncio.to_thread(own_kafka.start)
        await load.run(100)
        device.settle()
        await arrived(log, load.expected)
        assert edge.terminate() == 0
    batches = await log.batches()
    check_chain(batches)
    # Nothing came late because the edge took its own wait for Kafka for a silence.
    for batch in batches:
        assert (batch.times_us >= batch.position.wm_before_us).all()
    await _books_balance(log)


async def test_edge_killed_under_load(
    kafka: RunningKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(kafka.bootstrap, prefix)
    log, plant = Log(kafka.bootstrap, prefix), plant_text(prefix, assets=2)
    with (
        edge_process(tmp_path, plant, kafka.bootstrap, mosquitto.port) as edge,
        publisher(mosquitto.port) as device,
    ):
        load = Load(device)
        for _ in range(3):
            await load.run(60)
            edge.kill()
            await asyncio.gather(load.run(60), asyncio.to_thread(edge.start))
        await load.run(60)
        device.settle()
        await arrived(log, load.expected)
        assert edge.terminate() == 0
    check_chain(await log.batches())


async def test_it_stops_in_order_while_kafka_is_away(
    own_kafka: LocalKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(own_kafka.bootstrap, prefix)
    log, plant = Log(own_kafka.bootstrap, prefix), plant_text(prefix, assets=2)
    with (
        edge_process(tmp_path, plant, own_kafka.bootstrap, mosquitto.port) as edge,
        publisher(mosquitto.port) as device,
    ):
        load = Load(device)
        await load.run(20)
        await asyncio.to_thread(own_kafka.stop)
        await load.run(20)
        assert edge.terminate() == 0
        edge.start(connected=False)
        edge.wait_until(lambda: edge.said("edge/test: Kafka at") == 2)
        assert edge.terminate() == 0
        await asyncio.to_thread(own_kafka.start)
        edge.start()
        device.settle()
        await arrived(log, load.expected)


async def _books_balance(log: Log) -> None:
    status = await log.status()
    assert status is not None
    assert {stage: account.missing for stage, account in status.account.items()} == {
        "edge.mqtt": 0,
        "edge.rows": 0,
    }
    assert {stage: account.held for stage, account in status.account.items()} == {
        "edge.mqtt": 0,
        "edge.rows": 0,
    }


def none_late(batches: Sequence[ReadingBatch]) -> bool:
    """Whether every row came before its watermark."""
    return all((batch.times_us >= batch.position.wm_before_us).all() for batch in batches)


async def test_stopped_and_continued_it_takes_nobody_for_silent(
    kafka: RunningKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """What came while it could not hear is not late for a silence that never was."""
    prefix = topic_prefix.strip(".")
    await make_topics(kafka.bootstrap, prefix)
    log, plant = Log(kafka.bootstrap, prefix), plant_text(prefix, assets=2, idle="1s")
    with (
        edge_process(tmp_path, plant, kafka.bootstrap, mosquitto.port) as edge,
        publisher(mosquitto.port) as device,
    ):
        load = Load(device)
        await load.run(100)
        edge.send(signal.SIGSTOP)
        await load.run(400)
        edge.send(signal.SIGCONT)
        await load.run(100)
        device.settle()
        await arrived(log, load.expected)
    check_chain(await log.batches())
    assert none_late(await log.batches())


async def test_its_clock_is_set_an_hour_ahead_and_nobody_is_silent(
    kafka: RunningKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path, faketime: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(kafka.bootstrap, prefix)
    log, plant = Log(kafka.bootstrap, prefix), plant_text(prefix, assets=2, idle="1s")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    environ = clock_of(faketime, clock)
    with (
        edge_process(tmp_path, plant, kafka.bootstrap, mosquitto.port, environ) as edge,
        publisher(mosquitto.port) as device,
    ):
        load = Load(device)
        await load.run(100)
        device.settle()
        await arrived(log, load.expected)
        clock.write_text("+3600")
        # Nothing comes in the moment after it: the heartbeats of that must not be an hour ahead.
        edge.wait_until(lambda: edge.said("clock was set by +3600") == 1)
        await asyncio.sleep(2.5)
        await load.run(100)
        device.settle()
        await arrived(log, load.expected)
    check_chain(await log.batches())
    assert none_late(await log.batches())
