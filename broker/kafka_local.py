"""Apache Kafka as a child process, from jars and a Java that pip brought."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from broker.folder_lock import held
from broker.kafka_java import format_once, java, server, tail
from broker.loopback import HOST, answers, free_port, is_free
from broker.server_properties import KafkaSettings, server_properties
from broker.tether import spawn, stop
from contracts.errors import KafkaStartError

START_LIMIT_S = 90.0
Properties = Callable[[KafkaSettings, Path], str]
"""From the settings and the folder of the data to the text of server.properties."""


class LocalKafka:
    """One Apache Kafka with its data under `folder`, on the loopback interface.

    Started again on the same folder it has the same topics, records and committed
    offsets, after `kill()` too; started again as the same object it has the same port.
    It ends with this process. Not thread-safe; every method blocks.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        log_retention_bytes: int = -1,
        log_segment_bytes: int = 67_108_864,
        heap_mb: int = 384,
        properties: Properties = server_properties,
        users: Mapping[str, str] | None = None,
    ) -> None:
        """`users` are those whom it lets in by SCRAM-SHA-512, with their passwords, where its
        `properties` ask for a user."""
        self._folder = folder.resolve()
        self._heap_mb = heap_mb
        self._text_of = properties
        self._users = users or {}
        self._settings = KafkaSettings(
            port=port or free_port(),
            controller_port=free_port(),
            log_retention_bytes=log_retention_bytes,
            log_segment_bytes=log_segment_bytes,
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"{HOST}:{self._settings.port}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Formats the folder at the first time, starts, returns once clients are accepted.

        Raises KafkaStartError with the last lines of its log or when the folder is in use,
        BrokerError when a jar is missing or is not the locked file.
        """
        if self.pid is not None:
            return
        command = java(self._folder / "tmp")
        for port in (self._settings.port, self._settings.controller_port):
            if not is_free(port):
                raise KafkaStartError(f"Kafka cannot start: port {port} is in use")
        with held(self._folder) as lock:
            self._prepare()
            format_once(command, self._data, self._properties, self._users, self._words)
            argv = server(command, self._heap_mb, self._properties)
            with self._log.open("wb") as log:
                self._process = spawn(argv, output=log, cwd=self._folder, keep_open=[lock])
        self._wait_until_open()

    def stop(self) -> None:
        """Stops in order (SIGTERM), or by force after 10 s; nothing when it does not run."""
        if self._process is not None:
            stop(self._process)
            self._process = None

    def kill(self) -> None:
        """SIGKILL, as a power cut would; the data stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    @property
    def _words(self) -> Path:
        return self._folder / "format.args"

    @property
    def _log(self) -> Path:
        return self._folder / "kafka.log"

    def _prepare(self) -> None:
        # Kafka unpacks its native libraries there and leaves them behind when killed.
        shutil.rmtree(self._folder / "tmp", ignore_errors=True)
        (self._folder / "tmp").mkdir()
        self._properties.write_text(self._text_of(self._settings, self._data))

    def _wait_until_open(self) -> None:
        limit = time.monotonic() + START_LIMIT_S
        while self.pid is not None and time.monotonic() < limit:
            if answers(self._settings.port) and self._listens():
                return
            time.sleep(0.05)
        why = "did not open its port in time" if self.pid is not None else "ended"
        self.kill()
        log = self._log.read_text(errors="replace")
        raise KafkaStartError(f"Kafka {why}; the end of {self._log}:\n{tail(log)}")

    def _listens(self) -> bool:
        """Whether it is ours that answers: since its port was free another may have taken it."""
        try:
            connections = psutil.Process(self.pid).net_connections(kind="tcp")
        except psutil.Error:
            return False
        return any(
            one.status == psutil.CONN_LISTEN and one.laddr.port == self._settings.port
            for one in connections
        )
