"""An edge with a disk loses nothing: Kafka away, killed meanwhile and while it catches up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from broker.kafka_local import LocalKafka
from contracts.topics import FRAMES
from tests.clips import encode_h264, moving
from tests.integration.camera_world import (
    CameraLog,
    camera_plant,
    check_frame_chain,
    make_camera_topics,
    watching,
)
from tests.integration.edge_world import (
    EdgeProcess,
    Log,
    check_chain,
    edge_process,
    make_topics,
    plant_text,
    publisher,
)
from tests.integration.test_edge_faults import Load, _books_balance, arrived
from tests.processes.mosquitto import Mosquitto, find_mosquitto
from tests.processes.small_disk import NoSmallDisk, fill, small_disk

SPOOL = {"backfill_after": "3s"}


@pytest.fixture
def forgetful(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto that keeps 1,000 messages for who is away, as it does by default."""
    program = find_mosquitto()
    assert program is not None
    with Mosquitto(program, tmp_path / "forgetful", most_queued=1000) as process:
        yield process


async def test_killed_in_an_outage_and_again_while_it_catches_up(
    own_kafka: LocalKafka, topic_prefix: str, forgetful: Mosquitto, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(own_kafka.bootstrap, prefix)
    log, plant = Log(own_kafka.bootstrap, prefix), plant_text(prefix, assets=2, spool=SPOOL)
    with (
        edge_process(tmp_path, plant, own_kafka.bootstrap, forgetful.port) as edge,
        publisher(forgetful.port) as device,
    ):
        load = Load(device)
        await load.run(50)
        await asyncio.to_thread(own_kafka.stop)
        await load.run(600)
        edge.wait_until(lambda: edge.said("Kafka does not answer") > 0)
        edge.kill()
        await asyncio.gather(load.run(60), asyncio.to_thread(edge.start))
        edge.wait_until(lambda: edge.said("messages on disk") > 0)
        await load.run(300)
        device.settle()
        await asyncio.to_thread(own_kafka.start)
        edge.wait_until(lambda: edge.said("assets, ") == 2)
        await _first_of_the_backlog(log)
        edge.kill()
        await asyncio.gather(load.run(60), asyncio.to_thread(edge.start))
        await load.run(100)
        device.settle()
        await arrived(log, load.expected)
        assert edge.terminate() == 0
    batches = await log.batches()
    check_chain(batches)
    marks = [batch.position.backfill for batch in batches]
    assert True in marks and not marks[-1] and not marks[0]
    await _books_balance(log)


async def _first_of_the_backlog(log: Log) -> None:
    async def some(log: Log) -> bool:
        return any(batch.position.backfill for batch in await log.batches())

    await log.until(some)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(small_disk(tmp_path / "spool"))
        except NoSmallDisk as reason:
            pytest.skip(str(reason))
        yield folder


async def test_a_full_disk_is_said_and_loses_nothing(
    own_kafka: LocalKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path, disk: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(own_kafka.bootstrap, prefix)
    log, plant = Log(own_kafka.bootstrap, prefix), plant_text(prefix, assets=2, spool=SPOOL)
    with (
        edge_process(tmp_path, plant, own_kafka.bootstrap, mosquitto.port) as edge,
        publisher(mosquitto.port) as device,
    ):
        load = Load(device)
        await load.run(50)
        await asyncio.to_thread(own_kafka.stop)
        await load.run(300)
        edge.wait_until(lambda: edge.said("Kafka does not answer") > 0)
        filler = fill(disk)
        await _until_said(edge, load, "are not kept on disk")
        assert edge.said("full") > 0
        filler.unlink()
        await _until_said(edge, load, "takes readings again")
        fill(disk)
        await load.run(100)
        await asyncio.to_thread(own_kafka.start)
        await load.run(100)
        device.settle()
        await arrived(log, load.expected)
        assert edge.terminate() == 0
    check_chain(await log.batches())
    await _books_balance(log)


async def _until_said(edge: EdgeProcess, load: Load, text: str) -> None:
    async with asyncio.timeout(40):
        while not edge.said(text):
            await load.run(20)


async def test_readings_wait_at_the_mqtt_broker_when_their_share_is_full(
    own_kafka: LocalKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(own_kafka.bootstrap, prefix)
    spool: dict[str, Any] = {**SPOOL, "size_bytes": 10_000}
    log, plant = Log(own_kafka.bootstrap, prefix), plant_text(prefix, assets=2, spool=spool)
    with (
        edge_process(tmp_path, plant, own_kafka.bootstrap, mosquitto.port) as edge,
        publisher(mosquitto.port) as device,
    ):
        load = Load(device)
        await load.run(50)
        await asyncio.to_thread(own_kafka.stop)
        await _until_said(edge, load, "share of readings is full")
        await load.run(100)
        await asyncio.to_thread(own_kafka.start)
        device.settle()
        await arrived(log, load.expected)
        assert edge.terminate() == 0
    check_chain(await log.batches())
    await _books_balance(log)


async def test_frames_of_an_outage_come_after_it(
    own_kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_camera_topics(own_kafka.bootstrap, prefix)
    log = CameraLog(own_kafka.bootstrap, prefix)
    video = encode_h264(list(moving(600)), fps=15, gop=15, bit_rate=500_000)
    (tmp_path / "clip.mkv").write_bytes(video)
    plant = camera_plant(prefix, c={"video": "clip.mkv", "rate": 5})
    with watching(tmp_path, plant, own_kafka.bootstrap) as edge:
        await log.until_images("c", 5)
        await asyncio.to_thread(own_kafka.stop)
        edge.wait_until(lambda: edge.said("frames go to the disk") > 0)
        await asyncio.sleep(2)
        edge.kill()
        assert (tmp_path / "spool" / f"{prefix}-test" / "frames.db").stat().st_size > 0
        edge.start(connected=False)
        edge.wait_until(lambda: edge.said("messages on disk") > 0)
        await asyncio.to_thread(own_kafka.start)
        seen = len(await log.records(FRAMES))
        await log.until_images("c", seen + 10)
        assert edge.terminate() == 0
    check_frame_chain(await log.frames())
    account = await log.books()
    assert (account.held, account.missing) == (0, 0)
