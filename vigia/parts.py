"""What runs beside the front door, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from broker.kafka_local import LocalKafka
from broker.tether import spawn

LOG_LIMIT_BYTES = 4_000_000
_KEPT_BYTES = 250_000
_TAIL_LINES = 12
USAGE_ERROR = 2


class Part(Protocol):
    """A process that is kept running. Every method blocks."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""

    @property
    def hopeless(self) -> bool:
        """Whether it ended for a reason that starting it again does not mend."""

    def start(self) -> None:
        """Starts it when it does not run. Raises VigiaError when it cannot."""

    def last_words(self) -> str:
        """How it ended and the last lines of its log."""

    def trim_log(self) -> None:
        """Keeps its log bounded."""


class RoomProcess:
    """A command of `vigia` as a child; what it writes goes to a file.

    It dies with this process: a room may be killed at any time and goes on where it was.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self._argv = [sys.executable, "-P", "-m", *command]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or before it has."""
        return None if self._process is None else self._process.poll()

    @property
    def hopeless(self) -> bool:
        return self.exit_code == USAGE_ERROR

    def start(self) -> None:
        if self.pid is None:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                self._process = spawn(self._argv, output=log, death_signal=signal.SIGKILL)

    def last_words(self) -> str:
        code = self.exit_code
        how = f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"ended by {signal.Signals(-code).name}"
        lines = tail(self._log)
        return f"{how}; {self._log} ends with:\n{lines}" if lines else how

    def trim_log(self) -> None:
        trim(self._log)


class KafkaPart:
    """Our own Kafka, with its data under `folder`."""

    name = "kafka"
    hopeless = False

    def __init__(self, folder: Path, *, port: int = 0, retention_bytes: int = -1) -> None:
        self._kafka = LocalKafka(folder, port=port, log_retention_bytes=retention_bytes)
        self._log = folder / "kafka.log"

    @property
    def bootstrap(self) -> str:
        """HOST:PORT."""
        return self._kafka.bootstrap

    @property
    def pid(self) -> int | None:
        return self._kafka.pid

    def start(self) -> None:
        self._kafka.start()

    def last_words(self) -> str:
        return f"ended; {self._log} ends with:\n{tail(self._log)}"

    def trim_log(self) -> None:
        trim(self._log)


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log, indented; nothing where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            found = file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in found)


def trim(log: Path) -> None:
    """Moves the end of a log that grew too long to `LOG.1`, and empties it. Whoever writes
    appends, so the next line is the first."""
    try:
        if log.stat().st_size <= LOG_LIMIT_BYTES:
            return
        with log.open("rb") as file:
            file.seek(-_KEPT_BYTES, os.SEEK_END)
            log.with_name(f"{log.name}.1").write_bytes(file.read())
        os.truncate(log, 0)
    except OSError:
        # A full disk must not stop the plant's watch; the next look tries again.
        return
