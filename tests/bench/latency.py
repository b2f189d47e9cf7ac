"""From MQTT to alarm: a real Mosquitto, edge, Kafka and worker at 1,000 rows a second, on-delay
and lateness 0. Assets lose water in turn, so that alarms are raised and cleared all the time."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from broker.reader import read
from broker.tether import spawn, stop
from contracts.messages import Alert, Status, decode_json
from tests.bench.plants import NORMAL, assets_of, write_plant
from tests.chaos.line import Line
from tests.processes.mosquitto import Mosquitto, find_mosquitto

ASSETS, HZ, SECONDS, EPISODE_S = 100, 10, 60, 6


async def alarm_latencies(bootstrap: str, folder: Path) -> list[float]:
    """Milliseconds from the receipt of the row that completed the window to the broker's
    acknowledgement of the alert, for every alert of a run."""
    program = find_mosquitto()
    if program is None:
        raise SystemExit("bench: no Mosquitto; as root `make test` installs it")
    plant = write_plant(folder, assets_of(ASSETS), "latency", ("balance", "model"))
    line = Line(bootstrap, "latency", 4, plant, [])
    await line.create()
    with Mosquitto(program, folder / "mosquitto") as broker:
        argv = [sys.executable, "-m", "edge", "run", "--plant", str(plant), "--kafka", bootstrap]
        argv += ["--mqtt", f"{broker.host}:{broker.port}", "--instance", "bench"]
        argv += ["--spool", str(folder / "spool")]
        argv += ["--spool", str(folder / "spool")]
        with (folder / "edge.log").open("wb") as output:
            edge = spawn(argv, output=output)
        line.start("a")
        try:
            await _running(line)
            await asyncio.to_thread(_publish, broker)
            await asyncio.sleep(2)
        finally:
            line.close()
            await asyncio.to_thread(stop, edge)
    return await _latencies(line)


async def _running(line: Line) -> None:
    """Until edge and worker have both said that they are there."""
    seen: set[str] = set()
    async for record in read(line.bootstrap, f"{line.prefix}.status"):
        seen.add(decode_json(Status, record.value).process.split("/")[0])
        if seen == {"edge", "stream"}:
            break
    await asyncio.sleep(8)


def _publish(broker: Mosquitto) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-planter")
    client.max_inflight_messages_set(1000)
    client.connect(broker.host, broker.port)
    client.loop_start()
    r = np.random.default_rng(3)
    names = [asset.split("/")[1] for asset in assets_of(ASSETS)]
    began, total = time.monotonic(), SECONDS * HZ * ASSETS
    for number in range(total):
        # Assets are spread over the period, as sensors are.
        due = began + number / (HZ * ASSETS)
        if (wait := due - time.monotonic()) > 0:
            time.sleep(wait)
        which = number % ASSETS
        phase = (time.monotonic() - began + which * EPISODE_S / ASSETS) % EPISODE_S
        payload = _row(r, stolen=0.05 if phase < EPISODE_S / 2 else 0.0)
        client.publish(f"bench/{names[which]}", payload, qos=1)
    client.loop_stop()
    client.disconnect()


def _row(r: np.random.Generator, stolen: float) -> str:
    inlet = 1 + float(r.normal(0, 0.002))
    outlet = inlet * (1 - NORMAL - stolen) + float(r.normal(0, 0.002))
    return json.dumps(
        {
            "t": time.time_ns() // 1_000_000,
            "flow1": inlet,
            "flow2": outlet,
            "pre1": float(np.exp(-1.30)) * inlet**2,
            "pre2": float(np.exp(-1.28)) * outlet**2,
        }
    )


async def _latencies(line: Line) -> list[float]:
    found = []
    async for record in read(line.bootstrap, f"{line.prefix}.alerts", until_end=True):
        alert = decode_json(Alert, record.value)
        found.append(record.timestamp_ms - alert.received_us / 1000)
    return found
