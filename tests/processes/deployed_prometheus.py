"""A Prometheus, started as docker-compose.yml starts it."""

from __future__ import annotations

from pathlib import Path

from broker.loopback import HOST, free_port
from tests.processes.composed import Composed
from tests.processes.door import Door
from tests.processes.prometheus import Prometheus


class DeployedPrometheus(Prometheus):
    """Not started. Only ports, paths and the scrape's intervals differ from the files; `secrets` is
    what deploy/secrets made, for the exporter and Alertmanager too."""

    def __init__(
        self, program: str, folder: Path, secrets: Path, *, exporter: int, alertmanager: int
    ) -> None:
        self.service = Composed("prometheus", folder, secrets)
        swaps = {
            "exporters:9464": f"{HOST}:{exporter}",
            "alertmanager:9093": f"{HOST}:{alertmanager}",
            "scrape_interval: 15s": "scrape_interval: 1s",
            "scrape_timeout: 10s": "scrape_timeout: 1s",
            "evaluation_interval: 15s": "evaluation_interval: 1s",
        }
        self.service.rewrite("prometheus.yml", swaps)
        self.service.rewrite("client.yml", {})
        word = (secrets / "people" / "prometheus-password").read_text()
        door = Door(free_port(), secrets / "authority" / "ca.pem", "admin", word)
        super().__init__(program, folder, self.service.words, door)
