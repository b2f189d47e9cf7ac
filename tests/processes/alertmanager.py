"""A real Alertmanager, started as docker-compose.yml starts it, on the loopback interface."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from broker.loopback import HOST, answers, free_port
from broker.tether import spawn, stop
from tests.processes.composed import Composed
from tests.processes.deployed import deployed, swapped
from tests.processes.door import Door
from tests.processes.sinks import MailSink, WebhookSink

_START_LIMIT_S = 30.0
_SYSTEM_CAS = "/etc/ssl/certs/ca-certificates.crt"


def find_alertmanager() -> str | None:
    """The program's path, or None."""
    return shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")


@dataclass(frozen=True, slots=True)
class Alert:
    """One of rules.yml."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @classmethod
    def of(cls, name: str, **labels: str) -> Alert:
        """As the rule `name` has it, with its own labels and these; `kind` is the label class."""
        groups = yaml.safe_load(deployed("prometheus/rules.yml", {}))["groups"]
        (rule,) = (r for group in groups for r in group["rules"] if r.get("alert") == name)
        if "kind" in labels:
            labels["class"] = labels.pop("kind")
        every = {"alertname": name, **rule.get("labels", {}), **labels}
        return cls(every, {key: _filled(text, every) for key, text in rule["annotations"].items()})


def _filled(text: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], text)


def _takes_url_files(program: str) -> bool:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+)\.(\d+)", said.stdout + said.stderr)
    assert found is not None, said
    return (int(found[1]), int(found[2])) >= (0, 26)


class Alertmanager:
    """Only ports, paths and intervals differ from the files. It tells `mail` and `hook`, whose
    certificates `ca_file` signed, and with `heartbeat` that one too; `secrets` is what
    deploy/secrets made."""

    def __init__(
        self,
        program: str,
        folder: Path,
        secrets: Path,
        ca_file: Path,
        mail: MailSink,
        hook: WebhookSink,
        heartbeat: WebhookSink | None = None,
    ) -> None:
        self._program = program
        self._folder = folder
        self.port = free_port()
        word = (secrets / "people" / "alertmanager-password").read_text()
        self.door = Door(self.port, secrets / "authority" / "ca.pem", "admin", word)
        self.service = Composed("alertmanager", folder, secrets)
        (folder / "secrets" / "smtp-password").write_text(mail.password)
        (folder / "secrets" / "webhook-token").write_text(hook.token)
        if heartbeat is not None:
            self._beat(heartbeat)
        swaps = {
            "mail.plant.example:587": f"{HOST}:{mail.port}",
            "https://hooks.plant.example": hook.url,
            _SYSTEM_CAS: str(ca_file),
            "group_wait: 10s": "group_wait: 1s",
            "group_wait: 30s": "group_wait: 1s",
            "group_interval: 1m": "group_interval: 1s",
            "group_interval: 5m": "group_interval: 1s",
            "repeat_interval: 50s": "repeat_interval: 500ms",
        }
        self.service.rewrite("alertmanager.yml", swaps)
        self.service.rewrite("client.yml", {})
        self._process: subprocess.Popen[bytes] | None = None

    def _beat(self, heartbeat: WebhookSink) -> None:
        """As the file says: the address into its file, and the marks taken away."""
        (self._folder / "secrets" / "heartbeat-url").write_text(heartbeat.url)
        file = self._folder / "alertmanager.yml"
        above, name, marked = file.read_text(encoding="utf-8").partition("  - name: heartbeat\n")
        text = above + name + marked.replace("    # ", "    ")
        if not _takes_url_files(self._program):
            old = "url_file: /etc/alertmanager/secrets/heartbeat-url"
            text = swapped(text, {old: f"url: {heartbeat.url}"})
        file.write_text(text, encoding="utf-8")

    @property
    def log(self) -> str:
        """What it has written."""
        return (self._folder / "alertmanager.log").read_text()

    def post(self, alerts: Sequence[Alert], *, over: bool = False) -> None:
        """Tells it of alerts, as Prometheus would: they stand, or are over."""
        now = datetime.datetime.now(datetime.UTC).isoformat()
        end = {"endsAt": now} if over else {}
        told = [{"labels": one.labels, "annotations": one.annotations, **end} for one in alerts]
        self.door.ask("/api/v2/alerts", told)

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
