"""A real edge process between a real MQTT broker and a real Kafka, for tests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import yaml
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from broker.reader import read
from broker.topics import TopicSpec, create_topics
from contracts.headers import header_map
from contracts.messages import Status, decode_json
from contracts.readings import ReadingBatch, ReadingDecoder
from contracts.record import Record
from contracts.topics import DEAD_LETTERS, FRAMES, READINGS, STATUS, Topic, topic_name

PARTITIONS = 2
PATIENCE_S = 40.0
REPOSITORY = Path(__file__).parents[2]


def plant_text(
    prefix: str,
    *,
    assets: int = 1,
    period: str = "100ms",
    spool: dict[str, Any] | None = None,
    **sets: Any,
) -> str:
    """A plant of `assets` assets of two signals with the source's time, one topic each."""
    signals = [
        {
            "id": name,
            "topic": f"{{site}}/{{asset}}/{name}",
            "time": "/t",
            "time_format": "us",
            "range": [0, 1_000_000_000],
        }
        for name in ("flow", "pressure")
    ]
    signal_set = {
        "rows": {"by": "exact", "period": period},
        "lateness": "200ms",
        "idle": "30s",
        "signals": signals,
        **sets,
    }
    plant = {
        "vigia": 1,
        "mqtt": {"client_id": f"edge-{prefix}"},
        "kafka": {"prefix": prefix, "partitions": PARTITIONS},
        "sites": [
            {
                "id": "rig",
                "assets": [{"id": f"a{i}", "signals": "line"} for i in range(assets)],
            }
        ],
        "signal_sets": {"line": signal_set},
        "spool": spool or {},
    }
    return yaml.safe_dump(plant)


class Publisher:
    """A device: publishes at QoS 1 and knows what the MQTT broker has taken."""

    def __init__(self, port: int, version: MQTTProtocolVersion = mqtt.MQTTv5) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=version)
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(1, 1)
        self._sent = 0
        self._taken = 0
        self._client.on_publish = self._published
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def send(self, topic: str, payload: bytes | object) -> None:
        """Publishes, with JSON made of what is not bytes."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        # Without a connection paho keeps it and publishes it later.
        self._client.publish(topic, data, qos=1)
        self._sent += 1

    def row(self, asset: str, time_us: int, value: float) -> None:
        """Both signals of one row, as two messages."""
        for name in ("flow", "pressure"):
            self.send(f"rig/{asset}/{name}", {"t": time_us, "value": value})

    def settle(self) -> None:
        """Returns once the broker has taken everything."""
        limit = time.monotonic() + PATIENCE_S
        while self._taken < self._sent:
            assert time.monotonic() < limit, f"{self._taken} of {self._sent} published"
            time.sleep(0.01)

    def _published(self, *_: object) -> None:
        self._taken += 1

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def publisher(port: int, version: MQTTProtocolVersion = mqtt.MQTTv5) -> Iterator[Publisher]:
    """A Publisher that is closed afterwards."""
    made = Publisher(port, version)
    try:
        yield made
    finally:
        made.close()


class EdgeProcess:
    """`vigia edge run` as a child process."""

    def __init__(
        self,
        folder: Path,
        plant: str,
        kafka: str,
        mqtt_port: int,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = {**os.environ, **(environ or {})}
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "plant.yaml"
        file.write_text(plant)
        self.log = folder / "edge.log"
        options = ["--plant", str(file), "--kafka", kafka, "--mqtt", f"127.0.0.1:{mqtt_port}"]
        options += ["--spool", str(folder / "spool"), "--look", "0.3"]
        self._argv = [sys.executable, "-m", "edge", "run", *options, "--instance", "test"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, connected: bool = True) -> None:
        """Starts; with `connected` returns once it hears the MQTT broker."""
        before = self.said("MQTT: ") if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, stderr=log, cwd=REPOSITORY, env=self._environ
            )
        if connected:
            self.wait_until(lambda: self.said("MQTT: ") > before)

    def said(self, text: str) -> int:
        """How many lines of its log have `text`."""
        return sum(text in line for line in self.log.read_text().splitlines())

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Waits for something that the process does. Fails with its log."""
        limit = time.monotonic() + PATIENCE_S
        while not true():
            running = self._process is not None and self._process.poll() is None
            assert running and time.monotonic() < limit, self.log.read_text()
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal: SIGSTOP stops it, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


@contextmanager
def edge_process(
    folder: Path, plant: str, kafka: str, mqtt_port: int, environ: Mapping[str, str] | None = None
) -> Iterator[EdgeProcess]:
    """A running edge that ends with the test."""
    process = EdgeProcess(folder, plant, kafka, mqtt_port, environ)
    try:
        process.start()
        yield process
    finally:
        process.close()


async def make_topics(bootstrap: str, prefix: str) -> None:
    """The topics that an edge writes to."""
    wanted = (READINGS, FRAMES, DEAD_LETTERS, STATUS)
    specs = [TopicSpec(topic_name(t, prefix), PARTITIONS, t.config()) for t in wanted]
    await create_topics(bootstrap, specs)


class Log:
    """What an edge wrote, read from the beginning as it comes."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._decoder = ReadingDecoder()

    async def records(self, topic: Topic) -> list[Record]:
        """All records of a topic up to now."""
        name = topic_name(topic, self._prefix)
        return [r async for r in read(self._bootstrap, name, until_end=True)]

    async def batches(self) -> list[ReadingBatch]:
        """All reading batches, each asset's in the order of the log."""
        records = await self.records(READINGS)
        return [self._decoder.decode(r.value, r.headers) for r in records]

    async def letters(self) -> list[tuple[str, bytes]]:
        """The dead letters: reason and value."""
        records = await self.records(DEAD_LETTERS)
        return [(header_map(r.headers)["ce_reason"].decode(), r.value or b"") for r in records]

    async def status(self) -> Status | None:
        """The edge's newest status."""
        records = await self.records(STATUS)
        return decode_json(Status, records[-1].value) if records else None

    async def until(self, true: Callable[[Log], Any]) -> Any:
        """Reads again until `true(log)`, awaited, gives something; returns that."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await true(self)):
                await asyncio.sleep(0.1)
            return found


def rows_of(batches: Sequence[ReadingBatch]) -> dict[str, dict[int, list[float]]]:
    """Every row with a value, by asset and time; of a row that comes twice the first counts,
    as for whoever reads the log."""
    found: dict[str, dict[int, list[float]]] = {}
    for batch in batches:
        for time_us, values in zip(batch.times_us, batch.values, strict=True):
            if (values == values).any():
                found.setdefault(batch.asset, {}).setdefault(int(time_us), values.tolist())
    return found


def check_chain(batches: Sequence[ReadingBatch]) -> None:
    """Each asset's batches follow each other: sequence, watermark, largest time."""
    last: dict[str, ReadingBatch] = {}
    newest: dict[str, int] = {}
    for batch in batches:
        here, before = batch.position, last.get(batch.asset)
        assert here.wm_after_us >= here.wm_before_us
        if before is None:
            assert here.sequence == 0
        else:
            assert here.sequence == before.position.sequence + 1
            assert here.wm_before_us == before.position.wm_after_us
            assert here.max_before_us == newest[batch.asset]
        last[batch.asset] = batch
        newest[batch.asset] = max(newest.get(batch.asset, batch.newest_us), batch.newest_us)


def now_us() -> int:
    """The wall clock."""
    return time.time_ns() // 1000
