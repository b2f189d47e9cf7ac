"""docker-compose.yml as a project of its own, with its own secrets, volumes and networks."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests.deploy.compose_rules import ROOT

NAME = "vigia-check"
ONCE = frozenset({"users", "topics", "rights"})
"""What ends by itself at each start."""


class Project:
    """The services of docker-compose.yml but for those `without`."""

    def __init__(self, secrets: Path, without: Collection[str]) -> None:
        self._environment = {
            **os.environ,
            "VIGIA_SECRETS": str(secrets),
            "VIGIA_MQTT_LISTEN": "127.0.0.1",
        }
        told = self.compose("config", "--services").split()
        self.services = sorted(set(told) - set(without))
        self.lasting = [name for name in self.services if name not in ONCE]

    def compose(self, *words: str, within_s: float = 120) -> str:
        """What it prints. Raises CalledProcessError, TimeoutExpired."""
        return subprocess.run(
            ["docker", "compose", "--project-name", NAME, *words],
            cwd=ROOT, env=self._environment, timeout=within_s, text=True,
            check=True, stdout=subprocess.PIPE,
        ).stdout  # fmt: skip

    def typed(self, service: str, script: str) -> subprocess.Popen[str]:
        """A shell in the container of `service`, which reads what is written to its input."""
        argv = [
            "docker",
            "compose",
            "--project-name",
            NAME,
            "exec",
            "-T",
            service,
            "sh",
            "-c",
            script,
        ]
        return subprocess.Popen(
            argv, cwd=ROOT, env=self._environment, stdin=subprocess.PIPE, text=True
        )

    def states(self) -> dict[str, Any]:
        """Of each container: what `docker compose ps` says."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {one["Service"]: one for one in map(json.loads, lines)}

    def unwell(self) -> dict[str, str]:
        """Of each that should last and is not healthy: what is said of it."""
        states = self.states()
        said = {name: str(states.get(name, {}).get("Health", "away")) for name in self.lasting}
        return {name: health for name, health in said.items() if health != "healthy"}
