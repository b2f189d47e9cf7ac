"""An MQTT broker of our own on the loopback interface, for the demo."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from broker.loopback import HOST, answers, free_port
from broker.tether import spawn
from contracts.errors import VigiaError
from vigia.parts import tail, trim

START_LIMIT_S = 20.0


def find_mosquitto() -> str | None:
    """The program's path, or None; Debian keeps it where only root's PATH looks."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class LocalMqtt:
    """Mosquitto where it is installed, else amqtt from pip, which keeps no sessions while a
    client is away. Started again it has the same port."""

    name = "mqtt"
    hopeless = False

    def __init__(self, folder: Path, program: str | None) -> None:
        self._folder = folder
        self._program = program
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Returns once clients are accepted. Raises VigiaError with the end of its log."""
        if self.pid is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = spawn(self._command(), output=log)
        limit = time.monotonic() + START_LIMIT_S
        while not answers(self.port):
            if self.pid is None or time.monotonic() > limit:
                self._process.kill()
                raise VigiaError(f"the MQTT broker did not start:\n{tail(self._log)}")
            time.sleep(0.02)

    def last_words(self) -> str:
        return f"ended; {self._log} ends with:\n{tail(self._log)}"

    def trim_log(self) -> None:
        trim(self._log)

    @property
    def _log(self) -> Path:
        return self._folder / "mqtt.log"

    def _command(self) -> list[str]:
        if self._program is None:
            config = self._folder / "amqtt.yaml"
            config.write_text(_amqtt_config(self.port), encoding="utf-8")
            return [sys.executable, "-P", "-m", "amqtt.scripts.broker_script", "-c", str(config)]
        config = self._folder / "mosquitto.conf"
        config.write_text(_mosquitto_config(self.port, self._folder), encoding="utf-8")
        return [self._program, "-c", str(config)]


def _mosquitto_config(port: int, folder: Path) -> str:
    lines = [
        f"listener {port} {HOST}",
        "allow_anonymous true",
        "persistence true",
        f"persistence_location {folder}/",
        "max_queued_messages 100000",
    ]
    if os.geteuid() == 0:
        # It would become a user that may not write our folder, and lose the tether.
        lines.append("user root")
    return "\n".join(lines) + "\n"


def _amqtt_config(port: int) -> str:
    return (
        "listeners:\n"
        f"  default: {{type: tcp, bind: '{HOST}:{port}'}}\n"
        "plugins:\n"
        "  amqtt.plugins.authentication.AnonymousAuthPlugin: {allow_anonymous: true}\n"
    )
