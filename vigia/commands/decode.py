"""Any record of any topic, decoded to plain values; what cannot be decoded says why."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from contracts.errors import MessageError
from contracts.frames import EvidenceHeaders, FrameHeaders
from contracts.headers import header_map
from contracts.message import Message
from contracts.messages import (
    AlarmState,
    Alert,
    Command,
    DetectionBatch,
    Status,
    decode_json,
)
from contracts.readings import Quality, ReadingBatch, ReadingDecoder
from contracts.record import Record
from contracts.topics import (
    AGGREGATES,
    ALARMS,
    ALERTS,
    COMMANDS,
    DEAD_LETTERS,
    DETECTIONS,
    EVIDENCE,
    FRAMES,
    READINGS,
    STATUS,
    Topic,
)

MODELS: dict[str, type[Message]] = {
    DETECTIONS.name: DetectionBatch,
    ALARMS.name: AlarmState,
    ALERTS.name: Alert,
    COMMANDS.name: Command,
    STATUS.name: Status,
}
Found = Message | ReadingBatch | FrameHeaders | dict[str, str] | None
_readings = ReadingDecoder()


def decode(record: Record, topic: Topic) -> Found:
    """What `record` holds: a message, a batch, the headers of a dead letter, None for a
    tombstone. Raises MessageError."""
    if topic.name in MODELS:
        return None if record.value is None else decode_json(MODELS[topic.name], record.value)
    if topic in (READINGS, AGGREGATES):
        return _readings.decode(record.value, record.headers)
    headers = header_map(record.headers)
    if topic is FRAMES:
        return FrameHeaders.parse(headers)
    if topic is EVIDENCE:
        return EvidenceHeaders.parse(headers)
    return {name: raw.decode(errors="replace") for name, raw in headers.items()}


def as_json(record: Record, topic: Topic) -> dict[str, Any]:
    """One record as a JSON object: where it lies, and what it holds or why that is not known."""
    place = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": None if record.key is None else record.key.decode(errors="replace"),
        "size": len(record.value or b""),
    }
    try:
        found = decode(record, topic)
    except MessageError as error:
        return {**place, "error": str(error), "reason": error.reason}
    if isinstance(found, ReadingBatch):
        return {**place, **batch_json(found)}
    if isinstance(found, DetectionBatch):
        head = found.model_dump(mode="json", exclude={*found.COLUMNS, "evidence", "revision"})
        items = [one.model_dump(mode="json") for one in found.items]
        return {**place, "value": {**head, "items": items}}
    if isinstance(found, Message):
        return {**place, "value": found.model_dump(mode="json")}
    return {**place, "headers" if topic is DEAD_LETTERS else "value": found}


def batch_json(batch: ReadingBatch) -> dict[str, Any]:
    """A batch of readings: its position, its columns and its rows; no value is null."""
    return {
        "asset": batch.asset,
        "position": asdict(batch.position),
        "signals": [asdict(column) for column in batch.columns],
        "rows": [
            {
                "time_us": time,
                "values": [value if math.isfinite(value) else None for value in values],
                "quality": [quality_name(code) for code in codes],
            }
            for time, values, codes in zip(
                batch.times_us.tolist(),
                batch.values.tolist(),
                batch.quality.tolist(),
                strict=True,
            )
        ],
    }


def quality_name(code: int) -> str:
    """The word for a quality code; an unknown one as its number."""
    try:
        return Quality(code).name.lower().replace("_", "-")
    except ValueError:
        return str(code)
