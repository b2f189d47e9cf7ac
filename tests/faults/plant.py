"""The plant that is hurt: meters that are counted, gauges that lie, models that do wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.faults import packages

PARTITIONS = 6
METERS = ("works/m0", "works/m1", "works/m2", "works/m3")
GAUGES = ("works/silent", "works/stuck", "works/range", "works/jump", "works/clock")
CAMERA = "works/gate"
WIDTH_US, HOP_US = 3_000_000, 1_000_000
HIGH = 500
MODELS = {
    "fails": ("works/m1", packages.fails),
    "nan": ("works/m2", packages.answers_nan),
    "grows": ("works/m3", packages.grows),
}
MEMORY_BYTES = 500_000_000
BACKFILL_S = 10


def write_plant(
    folder: Path, prefix: str, mqtt_port: int, camera: dict[str, Any] | None = None
) -> Path:
    """The plant file and its model packages; with a camera section, of that camera alone."""
    folder.mkdir(parents=True, exist_ok=True)
    plant = {
        "vigia": 1,
        "mqtt": {"port": mqtt_port, "client_id": f"faults-{prefix}"},
        "kafka": {"prefix": prefix, "partitions": PARTITIONS},
        "spool": {"backfill_after": f"{BACKFILL_S}s"},
        **(_sensors(folder) if camera is None else _eyes(camera)),
    }
    file = folder / "plant.yaml"
    file.write_text(json.dumps(plant))
    return file


def _sensors(folder: Path) -> dict[str, Any]:
    for name, (asset, model) in MODELS.items():
        packages.write_package(folder / name, model(), asset, "flow")
    assets = [{"id": a.split("/")[1], "signals": "meter"} for a in METERS]
    assets += [{"id": a.split("/")[1], "signals": "gauge"} for a in GAUGES]
    span = {"width": "3s", "hop": "1s", "lateness": "300ms"}
    told = {"width": "2s", "hop": "1s"}
    detectors: list[dict[str, Any]] = [
        # Above 0 always: its score is the mean of the rows, so one lost or doubled would show.
        _limit("mean", "works/m*", "flow", span, high=0),
        _limit("high", "works/m*", "flow", {"width": "1s", "hop": "1s"}, high=HIGH, of="max"),
        {**_limit("level", "*", "level", told, high=1000), "assets": list(GAUGES)},
        {"id": "gauge", "kind": "instrument", "assets": list(GAUGES), "window": told},
    ]
    for name, (asset, _) in MODELS.items():
        of_model = {"kind": "autoencoder", "package": name, "assets": [asset]}
        detectors.append({"id": name, **of_model, "window": {"width": "3s", "hop": "1s"}})
    return {
        "stream": {"memory_bytes": MEMORY_BYTES},
        "sites": [{"id": "works", "assets": assets}],
        "signal_sets": {"meter": _meter(), "gauge": _gauge()},
        "detectors": detectors,
        "alarms": [
            {"id": "high", "detector": "high", "severity": "critical", "off_delay": "1s"},
            {"id": "gauge", "detector": "gauge", "class": "instrument"},
        ],
    }


def _limit(
    id: str, assets: str, signal: str, window: dict[str, Any], **more: Any
) -> dict[str, Any]:
    head = {"id": id, "kind": "limit", "assets": [assets], "signal": signal}
    return {**head, "window": window, **more}


def _meter() -> dict[str, Any]:
    signals = [
        {"id": name, "topic": "plant/{asset}", "pointer": f"/{name}", "time": "/t"}
        for name in ("flow", "pressure")
    ]
    for one in signals:
        one["time_format"] = "us"
    rows = {"by": "exact", "period": "100ms"}
    return {"rows": rows, "lateness": "200ms", "idle": "15s", "signals": signals}


def _gauge() -> dict[str, Any]:
    level = {
        "id": "level",
        "topic": "plant/{asset}",
        "pointer": "/level",
        "time": "/t",
        "time_format": "us",
        "range": [0, 200],
        "stuck": {"after": "4s"},
        "jump": {"rate": 5, "step": 5, "settle": "6s"},
    }
    rows = {"by": "grid", "period": "200ms"}
    return {"rows": rows, "lateness": "400ms", "idle": "3s", "skew": "5s", "signals": [level]}


def _eyes(camera: dict[str, Any]) -> dict[str, Any]:
    told = {"width": "2s", "hop": "1s"}
    eye = {"id": "eye", "kind": "instrument", "signals": ["brightness"], "window": told}
    return {
        "sites": [{"id": "works", "assets": [{"id": "gate", "camera": camera}]}],
        "detectors": [_limit("light", CAMERA, "brightness", told, high=255), eye],
        "alarms": [{"id": "eye", "detector": "eye", "class": "instrument"}],
    }
