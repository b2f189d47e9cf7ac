"""A real Alertmanager, started as docker-compose.yml starts it, on the loopback interface."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from broker.loopback import HOST, answers, free_port
from broker.tether import spawn, stop
from tests.processes.composed import Composed
from tests.processes.door import Door
from tests.processes.sinks import MailSink, WebhookSink

_START_LIMIT_S = 30.0
_SYSTEM_CAS = "/etc/ssl/certs/ca-certificates.crt"


def find_alertmanager() -> str | None:
    """The program's path, or None."""
    return shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


class Alertmanager:
    """Only ports, paths and intervals differ from the files. It tells `mail` and `hook`, whose
    certificates `ca_file` signed; `secrets` is what deploy/secrets made."""

    def __init__(
        self,
        program: str,
        folder: Path,
        secrets: Path,
        ca_file: Path,
        mail: MailSink,
        hook: WebhookSink,
    ) -> None:
        self._program = program
        self._folder = folder
        self.port = free_port()
        word = (secrets / "people" / "alertmanager-password").read_text()
        self.door = Door(self.port, secrets / "authority" / "ca.pem", "admin", word)
        self.service = Composed("alertmanager", folder, secrets)
        (folder / "secrets" / "smtp-password").write_text(mail.password)
        (folder / "secrets" / "webhook-token").write_text(hook.token)
        swaps = {
            "mail.plant.example:587": f"{HOST}:{mail.port}",
            "https://hooks.plant.example": f"https://{HOST}:{hook.port}",
            _SYSTEM_CAS: str(ca_file),
            "group_wait: 10s": "group_wait: 1s",
            "group_wait: 30s": "group_wait: 1s",
            "group_interval: 1m": "group_interval: 1s",
            "group_interval: 5m": "group_interval: 1s",
        }
        self.service.rewrite("alertmanager.yml", swaps)
        self.service.rewrite("client.yml", {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has written."""
        return (self._folder / "alertmanager.log").read_text()

    def post(self, alerts: Sequence[Mapping[str, str]]) -> None:
        """Tells it of alerts with these labels, as Prometheus would."""
        self.door.ask("/api/v2/alerts", [{"labels": dict(labels)} for labels in alerts])

    def alerts(self) -> list[dict[str, Any]]:
        """All that it knows of, with `labels` and `status`."""
        found: list[dict[str, Any]] = self.door.ask("/api/v2/alerts")
        return found

    def __enter__(self) -> Self:
        argv = [
            self._program,
            *self.service.words,
            f"--web.listen-address={HOST}:{self.port}",
        ]
        with (self._folder / "alertmanager.log").open("ab") as log:
            self._process = spawn(argv, output=log, cwd=self._folder)
        limit = time.monotonic() + _START_LIMIT_S
        while not answers(self.port):
            if self._process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"Alertmanager did not start:\n{self.log[-2000:]}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            stop(self._process)
