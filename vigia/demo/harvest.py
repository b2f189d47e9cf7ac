"""What the demo's summary needs from the topics."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass, field

from broker.cluster import Where
from broker.reader import read
from contracts.messages import AlarmState, Alert, DetectionBatch, Status
from contracts.readings import Quality, ReadingDecoder
from contracts.topics import FRAMES, READINGS, topic_name
from vigia.demo.books import OnTopics
from vigia.feed import Looker

_MOST_LATENCIES = 200_000


@dataclass(slots=True)
class Harvest:
    """Keeps alerts, counts detections, and notes how long each took from the edge's receipt of
    the row that completed its window to the broker's taking it. Tells all on to `screen`."""

    screen: Looker
    alerts: list[Alert] = field(default_factory=list)
    detections: int = 0
    latencies_us: deque[int] = field(default_factory=lambda: deque(maxlen=_MOST_LATENCIES))

    def on_status(self, status: Status) -> None:
        self.screen.on_status(status)

    def on_detections(self, batch: DetectionBatch, timestamp_us: int) -> None:
        self.detections += len(batch)
        if not batch.backfill:
            self.latencies_us += [timestamp_us - us for us in batch.received_us if us]
        self.screen.on_detections(batch, timestamp_us)

    def on_alarm(self, state: AlarmState) -> None:
        self.screen.on_alarm(state)

    def on_alert(self, alert: Alert, timestamp_us: int) -> None:
        self.alerts.append(alert)
        self.screen.on_alert(alert, timestamp_us)


async def count_topics(
    bootstrap: Where, prefix: str, seen: Collection[str], detections: int
) -> OnTopics:
    """Reads what the edge and the workers wrote and counts it: rows, cells that hold a sensor's
    reading, rows of the assets that are `seen` by cameras; and frames."""
    decoder, rows, readings, seen_rows = ReadingDecoder(), 0, 0, 0
    topic = topic_name(READINGS, prefix)
    async with aclosing(read(bootstrap, topic, until_end=True)) as records:
        async for record in records:
            batch = decoder.decode(record.value, record.headers)
            rows += len(batch.times_us)
            if batch.asset in seen:
                seen_rows += len(batch.times_us)
                continue
            came = (batch.quality != Quality.MISSING) & (batch.quality != Quality.HELD)
            readings += int(came.sum())
    frames, images = await _count_frames(bootstrap, prefix)
    return OnTopics(rows, readings, seen_rows, frames, images, detections)


async def _count_frames(bootstrap: Where, prefix: str) -> tuple[int, int]:
    """All that lie on the topic, and those that have an image."""
    frames, images = 0, 0
    topic = topic_name(FRAMES, prefix)
    async with aclosing(read(bootstrap, topic, until_end=True)) as records:
        async for record in records:
            frames += 1
            images += bool(record.value)
    return frames, images


def percentile_ms(latencies_us: deque[int], share: float) -> float | None:
    """The smallest latency that `share` of them do not exceed; None without any."""
    if not latencies_us:
        return None
    ordered = sorted(latencies_us)
    place = min(int(len(ordered) * share), len(ordered) - 1)
    return round(ordered[place] / 1000, 1)
