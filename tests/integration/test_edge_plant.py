"""An edge takes up another plant file while sensors send."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from contracts.messages import Status
from contracts.topics import FRAMES
from tests.conftest import RunningKafka
from tests.integration.edge_world import (
    Log,
    check_chain,
    edge_process,
    make_topics,
    now_us,
    plant_text,
    publisher,
)
from tests.integration.test_edge_faults import Load, arrived
from tests.processes.mosquitto import Mosquitto


def put(file: Path, text: str) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.rename(file)


def with_camera(text: str, folder: Path) -> str:
    """The same plant, and a camera that shows the pictures in `folder`."""
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64), 80 + 40 * number, np.uint8))
    plant: dict[str, Any] = yaml.safe_load(text)
    plant["sites"][0]["assets"].append({"id": "tank", "camera": {"folder": folder.name}})
    return yaml.safe_dump(plant)


async def test_an_asset_and_a_camera_more_while_sensors_send(
    kafka: RunningKafka, topic_prefix: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    await make_topics(kafka.bootstrap, prefix)
    log, file = Log(kafka.bootstrap, prefix), tmp_path / "plant.yaml"
    before = plant_text(prefix, assets=2)
    with (
        edge_process(tmp_path, before, kafka.bootstrap, mosquitto.port) as edge,
        publisher(mosquitto.port) as device,
    ):
        load = Load(device)
        await load.run(100)
        put(file, before.replace("period: 100ms", "period: never"))
        await load.run(50)
        await log.until(refused)
        put(file, with_camera(plant_text(prefix, assets=3), tmp_path / "pictures"))
        loading = asyncio.create_task(load.run(400))
        await asyncio.to_thread(edge.wait_until, lambda: edge.said("MQTT: 6 topics") == 1)
        load.expected["rig/a2"] = {}
        for value in range(20):
            time_us = now_us() + value
            device.row("a2", time_us, value)
            load.expected["rig/a2"][time_us] = [float(value)] * 2
        await loading
        await asyncio.to_thread(device.settle)
        await arrived(log, load.expected)
        check_chain(await log.batches())
        status = await log.until(taken)
        assert status.notes == ()
        assert all(account.missing == 0 for account in status.account.values())
        assert await log.until(lambda log: log.records(FRAMES))
        # Sensors and cameras do not change: nothing begins anew.
        text = file.read_text() + "detectors: [{id: h, kind: limit, window: {width: 1s, hop: 1s}, "
        put(file, text + "assets: ['rig/a*'], signal: flow, high: 1}]\n")
        await asyncio.to_thread(edge.wait_until, lambda: edge.said("taken up") == 2)
        await load.run(50)
        await asyncio.to_thread(device.settle)
        await arrived(log, load.expected)
        assert edge.said("MQTT: ") == 2
        assert edge.terminate() == 0
    check_chain(await log.batches())


async def refused(log: Log) -> bool:
    status = await log.status()
    return status is not None and any("period" in note for note in status.notes)


async def taken(log: Log) -> Status | None:
    status = await log.status()
    return status if status and status.plant and status.plant.taken == 1 else None
