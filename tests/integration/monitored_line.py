"""Rooms in processes of their own, as a real Prometheus and Alertmanager by the files under deploy/
see them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.loopback import HOST, free_port
from broker.tether import spawn, stop
from broker.topics import create_topics
from contracts.plant import read_plant
from tests.integration.secure_site import ACLS, Site
from tests.processes.alertmanager import Alertmanager
from tests.processes.authority import Authority
from tests.processes.composed import made_secrets
from tests.processes.deployed_prometheus import DeployedPrometheus
from tests.processes.sinks import MailSink, WebhookSink
from vigia.commands.topics import topic_specs


@dataclass(frozen=True)
class Plain:
    """Rooms on a Kafka that asks for nothing."""

    folder: Path
    kafka: str
    authority: Authority

    @classmethod
    def of(cls, folder: Path, kafka: str, plant: str) -> Plain:
        """Its plant file is written, and its topics are made."""
        (folder / "plant.yaml").write_text(plant, encoding="utf-8")
        asyncio.run(create_topics(kafka, topic_specs(read_plant(plant))))
        return cls(folder, kafka, Authority(folder / "authority"))

    @contextmanager
    def room(self, name: str, *words: str) -> Iterator[Path]:
        """A process of one room; the file that it writes its log into."""
        log = self.folder / f"{name}-{time.monotonic_ns()}.log"
        argv = [sys.executable, "-m", name, *words, "--kafka", self.kafka]
        with log.open("wb") as output:
            process = spawn([*argv, "--plant", str(self.folder / "plant.yaml")], output=output)
        try:
            yield log
        finally:
            stop(process)


class MonitoredLine:
    """The rooms that a test starts."""

    def __init__(self, rooms: Site | Plain) -> None:
        self._rooms = rooms
        self.authority = rooms.authority
        self.port = free_port()
        """The exporter's."""
        self.made = made_secrets(rooms.folder / "made")
        if isinstance(rooms, Site):
            rooms.vigia("topics", "create")
            rooms.vigia("topics", "allow", str(ACLS))

    @contextmanager
    def watchers(
        self, prometheus: str, alertmanager: str, mail: MailSink, hook: WebhookSink
    ) -> Iterator[tuple[Alertmanager, DeployedPrometheus]]:
        """The two programs, as compose starts them; Alertmanager tells `mail` and `hook`."""
        folder, ca = self._rooms.folder, self.authority.ca_file
        with (
            Alertmanager(alertmanager, folder / "am", self.made, ca, mail, hook) as manager,
            DeployedPrometheus(
                prometheus,
                folder / "prom",
                self.made,
                exporter=self.port,
                alertmanager=manager.port,
            ) as server,
        ):
            yield manager, server

    @contextmanager
    def exporter(self) -> Iterator[Path]:
        """It shows metrics over TLS to who knows the password."""
        made = self.made / "rooms"
        words = (
            *("--host", HOST, "--port", str(self.port)),
            *("--users-file", str(made / "metrics-users")),
            *("--tls-certificate", str(made / "exporters.crt.pem")),
            *("--tls-key", str(made / "exporters.key.pem")),
        )
        with self._rooms.room("exporters", "prometheus", *words) as log:
            yield log

    @contextmanager
    def senses(self) -> Iterator[tuple[Path, ...]]:
        """An edge and a worker; their logs."""
        spool = str(self._rooms.folder / "spool")
        with (
            self._rooms.room("edge", "run", "--spool", spool, "--instance", "box") as edge,
            self._rooms.room("stream", "worker") as stream,
        ):
            yield edge, stream
