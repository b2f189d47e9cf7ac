"""A real Mosquitto on the loopback interface, with persistent sessions."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

from broker.loopback import HOST, answers, free_port
from broker.tether import spawn, stop

_START_LIMIT_S = 15.0


def find_mosquitto() -> str | None:
    """The program's path, or None; Debian keeps it where only root's PATH looks."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Mosquitto:
    """Started again on the same object it has the same port and the same sessions."""

    host = HOST

    def __init__(self, program: str, folder: Path, *, most_queued: int = 0) -> None:
        """It keeps `most_queued` messages for who is away, and drops others; 0: all."""
        self._most_queued = most_queued
        self._program = program
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Returns once clients are accepted."""
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "mosquitto.conf"
        config.write_text(self._config())
        log_path = self._folder / "mosquitto.log"
        with log_path.open("ab") as log:
            self._process = spawn([self._program, "-c", str(config)], output=log)
        limit = time.monotonic() + _START_LIMIT_S
        while not answers(self.port):
            if self._process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"Mosquitto did not start:\n{log_path.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM: sessions and queued messages are written down."""
        if self._process is not None:
            stop(self._process)
            self._process = None

    def kill(self) -> None:
        """SIGKILL: what was not saved is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _config(self) -> str:
        lines = [
            f"listener {self.port} {HOST}",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {self._folder}/",
            f"max_queued_messages {self._most_queued}",
            "max_inflight_messages 0",
        ]
        if os.geteuid() == 0:
            # It would become a user that may not write the test's folder, and lose the tether.
            lines.append("user root")
        return "\n".join(lines) + "\n"
