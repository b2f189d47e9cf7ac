"""The settings of a one-box Apache Kafka: broker and controller in one process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from broker.loopback import HOST


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """`log_retention_bytes` bounds each partition of topics that state no bound; -1: none."""

    port: int
    controller_port: int
    log_retention_bytes: int = -1
    log_segment_bytes: int = 67_108_864
    message_max_bytes: int = 10_485_760


def server_properties(settings: KafkaSettings, data: Path) -> str:
    """The text of server.properties. Both listeners are on the loopback interface only."""
    broker = f"{HOST}:{settings.port}"
    controller = f"{HOST}:{settings.controller_port}"
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "log.retention.bytes": settings.log_retention_bytes,
        "log.segment.bytes": settings.log_segment_bytes,
        "message.max.bytes": settings.message_max_bytes,
        "replica.fetch.max.bytes": settings.message_max_bytes,
        "num.network.threads": 2,
        "num.io.threads": 4,
        # One broker holds every copy.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 2000,
        # After kill -9 the controller waits for the lost broker's session to end.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())
