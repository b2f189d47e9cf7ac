"""A Prometheus by deploy/prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from broker.loopback import HOST
from tests.processes.deployed import deployed
from tests.processes.prometheus import Prometheus


@dataclass(frozen=True, slots=True)
class Asked:
    """An exporter that shows metrics over TLS to the user `prometheus`."""

    port: int
    password: str
    ca_file: Path


def deployed_prometheus(
    program: str, folder: Path, exporter: Asked, alertmanager_port: int
) -> Prometheus:
    """Not started. Only ports, paths and the scrape's intervals differ from the files."""
    (folder / "secrets").mkdir(parents=True)
    (folder / "secrets" / "exporters-password").write_text(exporter.password)
    (folder / "rules.yml").write_text(deployed("prometheus/rules.yml", {}), encoding="utf-8")
    swaps = {
        "/etc/prometheus/tls/ca.pem": str(exporter.ca_file),
        "/etc/prometheus": str(folder),
        "exporters:9464": f"{HOST}:{exporter.port}",
        "alertmanager:9093": f"{HOST}:{alertmanager_port}",
        "scrape_interval: 15s": "scrape_interval: 1s",
        "scrape_timeout: 10s": "scrape_timeout: 1s",
        "evaluation_interval: 15s": "evaluation_interval: 1s",
    }
    return Prometheus(program, folder, deployed("prometheus/prometheus.yml", swaps))
