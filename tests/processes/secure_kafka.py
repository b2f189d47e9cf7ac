"""A Kafka by deploy/kafka/server.properties, with TLS, users and no right that was not given."""

from __future__ import annotations

from pathlib import Path

from broker.kafka_local import LocalKafka
from broker.loopback import HOST, free_port
from broker.server_properties import KafkaSettings
from tests.processes.authority import Authority
from tests.processes.deployed import deployed


def secure_kafka(
    folder: Path, authority: Authority, users: dict[str, str], internal: int | None = None
) -> LocalKafka:
    """Not started. Only ports and paths differ from the file. `internal` is the port at which the
    broker speaks to itself; default: a free one."""
    tls = folder / "tls"
    tls.mkdir(parents=True)
    stamp(folder, authority, expired=False)
    inner = internal or free_port()

    def text(settings: KafkaSettings, data: Path) -> str:
        swaps = {
            "0.0.0.0:9092": f"{HOST}:{settings.port}",
            "kafka:9092": f"{HOST}:{settings.port}",
            "127.0.0.1:9093": f"{HOST}:{inner}",
            "127.0.0.1:9094": f"{HOST}:{settings.controller_port}",
            "/etc/kafka/tls": str(tls),
            "/var/lib/kafka": str(data),
        }
        return deployed("kafka/server.properties", swaps)

    return LocalKafka(folder / "kafka", properties=text, users=users)


def stamp(folder: Path, authority: Authority, *, expired: bool) -> None:
    """Writes the certificates that it shows; it takes them when it starts."""
    shown = {
        "server.pem": authority.issue("kafka-clients", expired=expired).both,
        "internal.pem": authority.issue("kafka").both,
        "ca.pem": authority.ca_file,
    }
    for name, file in shown.items():
        (folder / "tls" / name).write_bytes(file.read_bytes())
