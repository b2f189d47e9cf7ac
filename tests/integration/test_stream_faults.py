"""Workers and an exporter without Kafka, without a topic, with models that do wrong."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from broker.admin import admin
from broker.kafka_local import LocalKafka
from broker.loopback import free_port
from broker.producer import Producer
from broker.reader import read
from contracts.headers import NO_TIME
from contracts.messages import (
    Account,
    Alert,
    DetectionBatch,
    Status,
    Transition,
    Verdict,
    decode_json,
)
from contracts.partitions import partition_of
from contracts.readings import Column, Position, ReadingBatch, encode
from contracts.record import Outgoing
from tests.chaos.line import Line
from tests.conftest import RunningKafka
from tests.faults import packages
from tests.integration.edge_world import (
    PARTITIONS,
    Log,
    Publisher,
    edge_process,
    now_us,
    plant_text,
    publisher,
    rows_of,
)
from tests.integration.test_edge_faults import Load, arrived
from tests.processes.mosquitto import Mosquitto

ASSET = "works/m0"
LEAVE_S = 10.0
S = 1_000_000
HIGH = 100_000.0
VALUES = [100.0] * 5 + [2.0 * packages.LIMIT] * 4 + [100.0] * 8


class Exporter:
    """`vigia exporters prometheus` as a child process."""

    def __init__(self, plant: Path, kafka: str) -> None:
        self._port = free_port()
        argv = [sys.executable, "-m", "exporters", "prometheus", "--plant", str(plant)]
        argv += ["--kafka", kafka, "--port", str(self._port)]
        with plant.with_suffix(".exporter.log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)

    def metric(self, series: str) -> float | None:
        """The value of a series, written as Prometheus does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics") as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return None
        return next((float(one.split()[-1]) for one in lines if one.startswith(f"{series} ")), None)

    async def until(self, series: str, value: float) -> None:
        async with asyncio.timeout(60):
            while await asyncio.to_thread(self.metric, series) != value:
                await asyncio.sleep(0.2)


@contextmanager
def exporting(plant: Path, kafka: str) -> Iterator[Exporter]:
    exporter = Exporter(plant, kafka)
    try:
        yield exporter
    finally:
        exporter.process.kill()
        exporter.process.wait()


def left(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a process that is asked to end; it has LEAVE_S."""
    process.terminate()
    try:
        return process.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def model_plant(folder: Path, prefix: str) -> Path:
    packages.write_package(folder / "fails", packages.fails(), ASSET, "flow")
    packages.write_package(folder / "nan", packages.answers_nan(), ASSET, "flow")
    window = {"width": "3s", "hop": "1s"}
    detectors = [
        {"id": name, "kind": "autoencoder", "package": name, "window": window}
        for name in ("fails", "nan")
    ]
    rule = {"id": "mean", "kind": "limit", "signal": "flow", "high": 0, "window": window}
    signal = {"id": "flow", "topic": "plant/{asset}", "time": "/t"}
    file = folder / "plant.yaml"
    file.write_text(
        json.dumps(
            {
                "vigia": 1,
                "kafka": {"prefix": prefix, "partitions": PARTITIONS},
                "sites": [{"id": "works", "assets": [{"id": "m0", "signals": "meter"}]}],
                "signal_sets": {"meter": {"rows": {"period": "100ms"}, "signals": [signal]}},
                "detectors": [*detectors, rule],
            }
        )
    )
    return file


def seconds_of(values: list[float], first: int = 0) -> list[ReadingBatch]:
    """One batch of ten rows for each value, a second each, from second `first` on."""
    found = []
    for at, value in enumerate(values, first):
        times = at * S + np.arange(10, dtype=np.int64) * (S // 10)
        before = at * S - S // 10 if at else NO_TIME
        mark = before + 1 if at else NO_TIME
        position = Position(at, mark, (at + 1) * S, before, 1)
        rows = np.full((10, 1), value)
        quality = np.zeros((10, 1), np.uint8)
        found.append(ReadingBatch(ASSET, position, (Column("flow"),), times, rows, quality))
    return found


async def publish(line: Line, batches: list[ReadingBatch]) -> None:
    producer = Producer(line.bootstrap, client_id="test")
    await producer.start()
    place = partition_of(ASSET, PARTITIONS)
    for batch in batches:
        value, headers = encode(batch, source="edge/test")
        topic = f"{line.prefix}.readings"
        await producer.send_all([Outgoing(topic, ASSET.encode(), value, headers, place)])
    await producer.stop()


Decided = dict[tuple[str, int], tuple[Verdict, str]]


async def decided(line: Line, windows: int) -> Decided:
    """Verdict and reason by detector and second, once there are so many."""
    found: Decided = {}
    async with asyncio.timeout(60):
        while len(found) < windows:
            records = read(line.bootstrap, f"{line.prefix}.detections", until_end=True)
            async for record in records:
                batch = decode_json(DetectionBatch, record.value)
                for one in batch.items:
                    found[batch.detector, one.start_us // S] = (one.verdict, one.reason)
            await asyncio.sleep(0.2)
    return found


async def test_a_model_that_fails_or_answers_nan_costs_its_windows_and_nothing_else(
    kafka: RunningKafka, topic_prefix: str, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    plant = model_plant(tmp_path, prefix)
    line = Line(kafka.bootstrap, prefix, PARTITIONS, plant, [])
    await line.create()
    await publish(line, seconds_of(VALUES))
    line.start("a")
    worker = line.workers["a"]
    try:
        found = await decided(line, 3 * 17)
        assert worker.poll() is None
    finally:
        line.close()
    for second in range(15):
        over = sum(VALUES[second : second + 3]) / 3 > packages.LIMIT
        for name in ("fails", "nan"):
            verdict, reason = found[name, second]
            assert reason == ("model-failed" if over else "reconstruction"), (name, second)
            assert (verdict is Verdict.NOT_MEASURED) == over
        assert found["mean", second][0] is Verdict.ABNORMAL


async def test_a_topic_that_was_deleted_and_made_again_is_read_from_its_beginning(
    kafka: RunningKafka, topic_prefix: str, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    plant = model_plant(tmp_path, prefix)
    line = Line(kafka.bootstrap, prefix, PARTITIONS, plant, [])
    await line.create()
    await publish(line, seconds_of([100.0] * 12))
    line.start("a")
    worker = line.workers["a"]
    try:
        await decided(line, 3 * 12)
        async with admin(kafka.bootstrap) as client:
            await client.delete_topics([f"{prefix}.readings"])
        await _made_again(line)
        await publish(line, seconds_of([100.0] * 6, first=12))
        assert await asyncio.to_thread(worker.wait, 40) == 1
        line.check()
        found = await decided(line, 3 * 16)
    finally:
        line.close()
    # Of windows in which rows are missing nothing is decided; all later ones are.
    assert {("mean", second) for second in range(12, 16)} <= found.keys()


async def _made_again(line: Line) -> None:
    """Kafka deletes in its own time."""
    async with asyncio.timeout(30), admin(line.bootstrap) as client:
        while f"{line.prefix}.readings" in await client.list_topics():
            await asyncio.sleep(0.1)
    await line.create()


def alarm_plant(prefix: str) -> str:
    spool = {"backfill_after": "3s"}
    plant = yaml.safe_load(plant_text(prefix, assets=2, spool=spool, idle="5min"))
    window = {"width": "1s", "hop": "1s"}
    high = {"id": "high", "kind": "limit", "signal": "flow", "of": "max", "high": HIGH}
    plant["detectors"] = [{**high, "window": window}]
    plant["alarms"] = [{"id": "high", "detector": "high", "severity": "critical"}]
    return str(yaml.safe_dump(plant))


RAISED = 'vigia_alerts_total{class="process",severity="critical",transition="raised"}'


@pytest.mark.timeout(180)
async def test_an_outage_pages_nobody_all_leave_in_time_and_every_stage_adds_up(
    own_kafka: LocalKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    text = alarm_plant(prefix)
    (tmp_path / "edge").mkdir()
    plant = tmp_path / "edge" / "plant.yaml"
    plant.write_text(text)
    line = Line(own_kafka.bootstrap, prefix, PARTITIONS, plant, [])
    await line.create()
    log = Log(own_kafka.bootstrap, prefix)
    with (
        edge_process(tmp_path / "edge", text, own_kafka.bootstrap, mosquitto.port) as edge,
        exporting(plant, own_kafka.bootstrap) as exporter,
        publisher(mosquitto.port) as device,
    ):
        line.start("a")
        worker = line.workers["a"]
        load = Load(device)
        await load.run(100)
        await exporter.until('vigia_process_up{process="edge/test"}', 1)
        # A worker that has not yet joined its group when Kafka goes away ends, to be started again.
        await exporter.until('vigia_detection_measured{asset="rig/a0",detector="high"}', 1)
        await asyncio.to_thread(own_kafka.stop)
        edge_said = edge.said("Kafka does not answer")
        # Over before anybody could know of it.
        load.expected["rig/a0"] |= await spell(device, "a0")
        await load.run(500)
        assert edge.said("Kafka does not answer") > edge_said
        await asyncio.to_thread(own_kafka.start)
        await arrived(log, load.expected)
        # And one that is now.
        load.expected["rig/a1"] |= await spell(device, "a1")
        await load.run(300)
        device.settle()
        await arrived(log, load.expected)
        await exporter.until(RAISED, 1)
        assert exporter.process.poll() is None and worker.poll() is None
        raised = [one for one in await alerts(line) if one.transition is Transition.RAISED]
        assert {(one.asset, one.backfill) for one in raised} == {
            ("rig/a0", True),
            ("rig/a1", False),
        }
        await add_up(line, log, load)
        await asyncio.to_thread(own_kafka.stop)
        await load.run(300)
        assert left(worker) == 0
        assert left(exporter.process) == 0
        assert edge.terminate() == 0


async def spell(device: Publisher, asset: str) -> dict[int, list[float]]:
    """Half a second above the limit; what must arrive of it."""
    sent = {}
    for _ in range(25):
        time_us = now_us()
        device.row(asset, time_us, 2 * HIGH)
        sent[time_us] = [2 * HIGH] * 2
        await asyncio.sleep(0.02)
    return sent


async def alerts(line: Line) -> list[Alert]:
    records = read(line.bootstrap, f"{line.prefix}.alerts", until_end=True)
    return [decode_json(Alert, record.value) async for record in records]


async def add_up(line: Line, log: Log, load: Load) -> None:
    """Each stage by itself, and what one passes on with what the next took in."""
    sent = sum(map(len, load.expected.values()))
    batches = await log.batches()
    written = sum(len(batch.times_us) for batch in batches)

    async def at_rest(log: Log) -> dict[str, Account] | None:
        found = {n: one for s in (await newest(line)).values() for n, one in s.account.items()}
        rest = found["stream.rows"].taken_in == written and not found["edge.rows"].held
        return found if rest else None

    stages = await log.until(at_rest)
    assert {name: one.missing for name, one in stages.items()} == dict.fromkeys(stages, 0)
    assert stages["edge.mqtt"].taken_in == stages["edge.mqtt"].gone_out == 2 * sent
    assert stages["edge.rows"].taken_in == stages["edge.rows"].gone_out == 2 * sent
    assert sum(map(len, rows_of(batches).values())) == sent


async def newest(line: Line) -> dict[str, Status]:
    found = {}
    async for record in read(line.bootstrap, f"{line.prefix}.status", until_end=True):
        status = decode_json(Status, record.value)
        found[status.process] = status
    return found
