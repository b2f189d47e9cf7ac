"""A whole site that can be hurt: sensors that publish by MQTT, an edge, two workers and a Kafka."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from broker.kafka_local import LocalKafka
from broker.producer import Producer
from broker.reader import read
from broker.tether import spawn
from contracts.messages import Status, decode_json
from contracts.partitions import partition_of
from contracts.record import Outgoing
from contracts.topics import FRAMES, topic_name
from tests.chaos.feed import Message
from tests.chaos.line import Line
from tests.chaos.tanks import FrameMessage
from tests.processes.mosquitto import Mosquitto

MOST_UNCONFIRMED = 2_000


class Sensors:
    """Publishes messages at QoS 1 from a thread of its own, `rate` rows/s (0: as fast as it can)
    and no further than row `gate`, and knows which of them the MQTT broker has taken."""

    def __init__(self, port: int, feed: Iterable[Message], rate: float) -> None:
        self._free = threading.Semaphore(MOST_UNCONFIRMED)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.max_queued_messages_set(0)
        self._client.max_inflight_messages_set(MOST_UNCONFIRMED)
        self._client.on_publish = self._taken
        self._client.on_disconnect = self._lost
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._feed = feed
        self.rate = rate
        self.gate = float("inf")
        self._confirmed = 0
        self._resending = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.sent: list[Message] = []
        self.rows = 0

    def start(self) -> None:
        """Begins to publish."""
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether everything is published and confirmed."""
        return not self._thread.is_alive()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def _settled(self) -> bool:
        return self._confirmed == len(self.sent)

    def _taken(self, *_: object) -> None:
        self._confirmed += 1
        self._free.release()

    def _lost(self, *_: object) -> None:
        self._resending = True

    def _run(self) -> None:
        due = time.monotonic()
        for message in self._feed:
            # Before a new connection is accepted paho sends what is published at that moment, and
            # what was published without one after it: another order than that of `sent`.
            while self.rows >= self.gate or (self._resending and not self._settled):
                time.sleep(0.05)
            if self._settled:
                self._resending = False
            self._free.acquire()
            self._client.publish(f"x/{message.asset.split('/')[1]}", message.payload, qos=1)
            self.sent.append(message)
            self.rows += len(message.times_us)
            due = max(due, time.monotonic() - 0.5)
            if self.rate:
                due += len(message.times_us) / self.rate
                time.sleep(max(0.0, due - time.monotonic()))
        for _ in range(MOST_UNCONFIRMED):
            self._free.acquire()


@dataclass
class Site:
    """All of it, on topics of one prefix."""

    kafka: LocalKafka
    mqtt: Mosquitto
    line: Line
    sensors: Sensors
    frames: Sequence[FrameMessage]
    total_rows: int = 0
    edge: subprocess.Popen[bytes] | None = None
    statuses: dict[str, Status] = field(default_factory=dict)
    _frames_written: int = 0

    def start(self, workers: Sequence[str]) -> None:
        """Everything but the sensors."""
        self.start_edge()
        for name in workers:
            self.line.start(name)

    def start_edge(self) -> None:
        argv = [sys.executable, "-m", "edge", "run", "--plant", str(self.line.plant)]
        argv += ["--kafka", self.line.bootstrap, "--mqtt", f"127.0.0.1:{self.mqtt.port}"]
        argv += ["--spool", str(self.line.plant.with_suffix(".spool"))]
        log = self.line.plant.with_suffix(".edge.log")
        with log.open("ab") as output:
            self.edge = spawn([*argv, "--instance", "chaos", "--site", "chaos"], output=output)

    def kill_edge(self) -> None:
        assert self.edge is not None
        self.edge.kill()
        self.edge.wait()

    def pids(self) -> dict[str, int]:
        """The processes that can be hurt, by name."""
        found = {name: worker.pid for name, worker in self.line.workers.items()}
        if self.edge is not None:
            found["edge"] = self.edge.pid
        if self.kafka.pid is not None:
            found["kafka"] = self.kafka.pid
        return found

    def check(self) -> None:
        """What ended by itself is started again, as a supervisor would."""
        self.line.check()
        if self.edge is not None and self.edge.poll() is not None:
            self.start_edge()

    async def follow(self) -> None:
        """Keeps the last status of every process, for ever, whatever becomes of Kafka."""
        while True:
            with suppress(Exception):
                async for record in read(self.line.bootstrap, f"{self.line.prefix}.status"):
                    status = decode_json(Status, record.value)
                    self.statuses[status.process] = status
            await asyncio.sleep(0.5)

    async def write_frames(self) -> None:
        """Writes frames in step with the sensors' rows, and all when these have ended."""
        producer = Producer(self.line.bootstrap, client_id="chaos-frames")
        await producer.start()
        total = max(1, self.total_rows)
        while self._frames_written < len(self.frames):
            share = 1.0 if self.sensors.ended else min(1.0, self.sensors.rows / total)
            until = int(len(self.frames) * share)
            part = self.frames[self._frames_written : until][:50]
            await producer.send_all([self._frame(one) for one in part])
            self._frames_written += len(part)
            if not part:
                await asyncio.sleep(0.1)
        await producer.stop()

    def _frame(self, one: FrameMessage) -> Outgoing:
        partition = partition_of(one.asset, self.line.partitions)
        topic = topic_name(FRAMES, self.line.prefix)
        return Outgoing(topic, one.asset.encode(), one.value, one.headers, partition)

    def close(self) -> None:
        self.sensors.close()
        if self.edge is not None:
            self.edge.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.edge.wait(10)
            self.edge.kill()
            self.edge.wait()
        self.line.close()


def stop_for(pid: int) -> None:
    """SIGSTOP."""
    os.kill(pid, signal.SIGSTOP)


def go_on(pid: int) -> None:
    """SIGCONT, where it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
