"""The one table of topics, from which they are created, documented and tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

Cleanup = Literal["delete", "compact", "compact,delete"]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: `name` without the configurable prefix, what its key and value are.

    `retention_ms` is -1 for ever. `partitioned_by` says whose hash chooses the partition:
    all that concerns an asset lies in one partition of the same number everywhere.
    """

    name: str
    key: str
    value: str
    cleanup: Cleanup
    retention_ms: int
    partitioned_by: Literal["asset", "key"]
    log_append_time: bool = False

    def config(self, *, retention_bytes: int = -1) -> dict[str, str]:
        """The broker's settings for this topic; `retention_bytes` bounds a partition."""
        config = {"cleanup.policy": self.cleanup, "retention.ms": str(self.retention_ms)}
        if "delete" in self.cleanup and retention_bytes > 0:
            config["retention.bytes"] = str(retention_bytes)
            config["segment.bytes"] = str(max(retention_bytes // 4, 1_048_576))
        if "compact" in self.cleanup:
            # A worker that lost its partitions may still write an older state; the newest
            # is found by its mark, so both must survive until the zombie is surely gone.
            config["min.compaction.lag.ms"] = str(HOUR_MS)
        if self.log_append_time:
            config["message.timestamp.type"] = "LogAppendTime"
        return config


READINGS = Topic(
    "readings",
    "asset",
    "Arrow IPC stream, one record batch of rows",
    "delete",
    6 * HOUR_MS,
    "asset",
)
FRAMES = Topic("frames", "asset", "the encoded image", "delete", HOUR_MS // 6, "asset")
AGGREGATES = Topic(
    "aggregates",
    "asset",
    "Arrow IPC stream, one record batch of panes: what is kept of their rows",
    "delete",
    3 * DAY_MS,
    "asset",
)
EVIDENCE = Topic(
    "evidence", "asset", "a JPEG of what made a detection abnormal", "delete", 180 * DAY_MS, "asset"
)
DETECTIONS = Topic(
    "detections", "asset", "JSON, DetectionBatch", "delete", 7 * DAY_MS, "asset", True
)
ALARMS = Topic("alarms", "alarm", "JSON, AlarmState", "compact", -1, "asset")
ALERTS = Topic("alerts", "alarm", "JSON, Alert", "delete", 180 * DAY_MS, "asset", True)
COMMANDS = Topic("commands", "alarm", "JSON, Command", "delete", 180 * DAY_MS, "asset")
STATUS = Topic("status", "process", "JSON, Status", "compact,delete", DAY_MS, "key")
DEAD_LETTERS = Topic(
    "dead-letters",
    "source topic",
    "the bytes that could not be used, the reason in the headers",
    "delete",
    21 * DAY_MS,
    "key",
)

TOPICS: tuple[Topic, ...] = (
    READINGS,
    FRAMES,
    AGGREGATES,
    EVIDENCE,
    DETECTIONS,
    ALARMS,
    ALERTS,
    COMMANDS,
    STATUS,
    DEAD_LETTERS,
)
DEFAULT_PREFIX = "vigia"


def topic_name(topic: Topic, prefix: str = DEFAULT_PREFIX) -> str:
    """The name on the broker: `vigia.readings`."""
    return f"{prefix}.{topic.name}"


def topic_of(name: str, prefix: str = DEFAULT_PREFIX) -> Topic | None:
    """The table's row for a broker's topic name (with or without prefix), or None."""
    bare = name.removeprefix(f"{prefix}.")
    return next((topic for topic in TOPICS if topic.name == bare), None)
