"""Golden messages as files: headers, key and value (text where it is JSON, else base64)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from contracts.record import Outgoing
from tests import samples

FOLDER = Path(__file__).parent / "messages"


def of_today() -> dict[str, Outgoing]:
    """One message of every kind, as today's writers write it."""
    return {
        "readings.v1": samples.outgoing(samples.batch()),
        "detections.v2": samples.outgoing(samples.detections()),
        "alarm.v1": samples.outgoing(samples.alarm()),
        "alert.v1": samples.outgoing(samples.alert()),
        "command.v1": samples.outgoing(samples.command()),
        "status.v1": samples.outgoing(samples.status()),
        "frame.v2": samples.picture(),
        "evidence.v1": samples.evidence(),
        "dead-letter.v1": samples.letter(),
    }


def dump(out: Outgoing) -> dict[str, Any]:
    """A message as JSON."""
    value = out.value or b""
    headers = [[name, raw.decode()] for name, raw in out.headers]
    is_json = ["content-type", "application/json"] in headers
    return {
        "topic": out.topic,
        "key": (out.key or b"").decode(),
        "headers": headers,
        **(
            {"json": json.loads(value)} if is_json else {"base64": base64.b64encode(value).decode()}
        ),
    }


def load(name: str) -> Outgoing:
    """A golden message as it was written."""
    found = json.loads((FOLDER / f"{name}.json").read_text())
    if "json" in found:
        value = json.dumps(found["json"]).encode()
    else:
        value = base64.b64decode(found["base64"])
    headers = [(header, text.encode()) for header, text in found["headers"]]
    return Outgoing(found["topic"], found["key"].encode(), value, headers, partition=0)


def write_missing() -> None:
    """Adds messages of kinds that have no golden one yet; what is there is never changed."""
    for name, out in of_today().items():
        file = FOLDER / f"{name}.json"
        if not file.exists():
            file.write_text(json.dumps(dump(out), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write_missing()
