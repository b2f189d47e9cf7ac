"""A real line of rooms in processes of their own, with a real Prometheus and Alertmanager by the
files under deploy/, and sinks where e-mails and webhooks end."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.loopback import HOST, free_port
from broker.tether import spawn, stop
from broker.topics import create_topics
from contracts.plant import read_plant
from tests.processes.authority import Authority
from tests.processes.deployed_prometheus import Asked
from vigia.commands.topics import topic_specs

PASSWORD = "secret-of-prometheus"
LIMIT_S = 60.0


class MonitoredLine:
    """Its topics, and the rooms that a test starts."""

    def __init__(self, folder: Path, kafka: str, plant: str) -> None:
        self._folder = folder
        self._kafka = kafka
        self.plant = folder / "plant.yaml"
        self.plant.write_text(plant, encoding="utf-8")
        self.authority = Authority(folder / "authority")
        self.asked = Asked(free_port(), PASSWORD, self.authority.ca_file)
        self._users = folder / "users"
        self._users.write_text(f"prometheus:{PASSWORD}\n")
        asyncio.run(create_topics(kafka, topic_specs(read_plant(plant))))

    @contextmanager
    def room(self, name: str, *words: str) -> Iterator[Path]:
        """A process of one room; the file that it writes its log into."""
        log = self._folder / f"{name}-{time.monotonic_ns()}.log"
        argv = [sys.executable, "-m", name, *words]
        argv += ["--plant", str(self.plant), "--kafka", self._kafka]
        with log.open("wb") as output:
            process = spawn(argv, output=output)
        try:
            yield log
        finally:
            stop(process)

    @contextmanager
    def exporter(self) -> Iterator[Path]:
        """It shows metrics over TLS to who knows the password."""
        pair = self.authority.issue("exporters")
        tls = ("--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key))
        where = ("--host", HOST, "--port", str(self.asked.port), "--users-file", str(self._users))
        with self.room("exporters", "prometheus", *where, *tls) as log:
            yield log

    @contextmanager
    def senses(self) -> Iterator[tuple[Path, ...]]:
        """An edge and a worker; their logs."""
        spool = str(self._folder / "spool")
        with (
            self.room("edge", "run", "--spool", spool, "--instance", "box") as edge,
            self.room("stream", "worker") as stream,
        ):
            yield edge, stream


def until(true: Callable[[], object], told: Callable[[], str]) -> None:
    """Waits for an outcome; `told` is what to show where it does not come."""
    limit = time.monotonic() + LIMIT_S
    while not true():
        if time.monotonic() > limit:
            raise AssertionError(told())
        time.sleep(0.1)
