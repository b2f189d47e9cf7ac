"""The whole line on one box: brokers, topics, edge, workers, exporter."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from broker.cluster import Cluster, Where
from broker.loopback import free_port, is_free
from broker.topics import create_topics
from contracts.errors import BrokerError
from contracts.messages import Status
from contracts.plant import Plant
from vigia.commands.topics import topic_specs
from vigia.mqtt_local import LocalMqtt
from vigia.parts import KafkaPart, RoomProcess
from vigia.supervisor import Supervisor
from vigia.vitals import Vitals

METRICS_PORT = 9464
KAFKA_PORT = 9092
_LOOK_S = 2.0
_TOPICS_S = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Layout:
    """What runs. Without `kafka` (HOST:PORT) one of our own keeps its data under `folder`;
    with `own_mqtt` the edge listens to that broker, else to the plant file's."""

    plant_file: Path
    plant: Plant
    folder: Path
    instance: str
    kafka: str | None = None
    kafka_port: int = 0
    own_mqtt: LocalMqtt | None = None
    workers: int = 1
    metrics_port: int = METRICS_PORT

    @property
    def metrics_url(self) -> str:
        """Where Prometheus finds the metrics."""
        return f"http://127.0.0.1:{self.metrics_port}/metrics"


@dataclass(slots=True)
class Line:
    """The parts of a layout under one supervisor. `phases` says how long starting took."""

    layout: Layout
    supervisor: Supervisor
    say: Callable[[str], None]
    vitals: Vitals = field(default_factory=Vitals)
    phases: dict[str, float] = field(default_factory=dict)
    bootstrap: Where = ""

    async def start(self) -> None:
        """Returns when every part was started. Raises VigiaError when one cannot be."""
        self.supervisor.on_start = self._begun
        brokers = [asyncio.create_task(self._start_kafka())]
        if self.layout.own_mqtt is not None:
            brokers.append(asyncio.create_task(self._start_mqtt(self.layout.own_mqtt)))
        await _all(brokers)
        with _Phase(self.phases, "topics"):
            await create_topics(self.bootstrap, topic_specs(self.layout.plant))
        with _Phase(self.phases, "rooms"):
            for room in self._rooms():
                await self.supervisor.start(room)

    def _begun(self, name: str) -> None:
        # Brokers say nothing of themselves; when one is away, all are silent.
        if name in self.processes():
            self.vitals.begun(name, time.monotonic())

    def on_status(self, status: Status) -> None:
        """Notes that a process is alive."""
        self.vitals.observe(status, time.monotonic())

    async def nurse(self) -> None:
        """Ends processes that are alive and do nothing; the supervisor starts them again."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for ill in self.vitals.judge(time.monotonic()):
                self.supervisor.end(ill.process, ill.why)

    async def keep_topics(self) -> None:
        """Makes topics again that somebody deleted, and says so: the rooms wait for them. What was
        in them is gone."""
        while True:
            await asyncio.sleep(_TOPICS_S)
            try:
                made = await create_topics(self.bootstrap, topic_specs(self.layout.plant))
            except BrokerError as error:
                # While Kafka is away; or with other partitions, which the rooms refuse.
                _log.warning("topics: %s", error)
            else:
                for topic in made:
                    self.say(f"topic {topic} was gone, with all that was in it: it is made again")

    def processes(self) -> list[str]:
        """The names of the rooms' processes, as their Status says them."""
        return [room.name for room in self._rooms()]

    async def _start_kafka(self) -> None:
        layout = self.layout
        with _Phase(self.phases, "kafka"):
            if layout.kafka is not None:
                self.bootstrap = Cluster.of(layout.plant.kafka, "admin", layout.kafka)
                return
            kept = layout.plant.kafka.retention_bytes
            kafka = KafkaPart(layout.folder / "kafka", port=layout.kafka_port, retention_bytes=kept)
            self.bootstrap = kafka.bootstrap
            await self.supervisor.start(kafka, broker=True)

    async def _start_mqtt(self, mqtt: LocalMqtt) -> None:
        with _Phase(self.phases, "mqtt"):
            await self.supervisor.start(mqtt, broker=True)

    def _rooms(self) -> list[RoomProcess]:
        name = self.layout.instance
        mqtt = self.layout.own_mqtt
        edge = ["--state", str(self.layout.folder / "edge")]
        edge += ["--mqtt", mqtt.address] if mqtt is not None else []
        if self.layout.plant.spool.folder is None:
            edge += ["--spool", str(self.layout.folder / "spool")]
        exporter = ["--port", str(self.layout.metrics_port), *self._state("exporters", name)]
        workers = [f"{name}-{number}" for number in range(1, self.layout.workers + 1)]
        return [
            self._room("edge", "run", name, *edge),
            *(self._room("stream", "worker", one, *self._state("stream", one)) for one in workers),
            self._room("exporters", "prometheus", name, *exporter),
        ]

    def _state(self, room: str, instance: str) -> tuple[str, str]:
        return "--state", str(self.layout.folder / room / instance)

    def _room(self, room: str, command: str, instance: str, *more: str) -> RoomProcess:
        options = ["--plant", str(self.layout.plant_file), "--kafka", str(self.bootstrap)]
        log = self.layout.folder / "logs" / f"{room}-{instance}.log"
        argv = ["vigia", room, command, *options, "--instance", instance, *more]
        return RoomProcess(f"{room}/{instance}", argv, log)


class _Phase:
    """Adds what the block took to `phases`, in seconds."""

    def __init__(self, phases: dict[str, float], name: str) -> None:
        self._phases = phases
        self._name = name

    def __enter__(self) -> None:
        self._begin = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._phases[self._name] = time.monotonic() - self._begin


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    """Waits for all; raises the first error only when none runs any more."""
    await asyncio.wait(tasks)
    for task in tasks:
        task.result()


def some_port(wanted: int) -> int:
    """`wanted`, or another when something listens there already."""
    return wanted if is_free(wanted) else free_port()
