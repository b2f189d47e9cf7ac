"""The plant of one line: pipelines that tell by MQTT, a belt and a tank before cameras."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.tanks import DETECTORS as TANK_DETECTORS
from tests.chaos.world import write_plant
from tests.clips import Image, h264_clip
from vigia.demo.belt import tiles
from vigia.demo.film import Film
from vigia.demo.scenes import BELT, FPS, TANK

PARTITIONS = 4
SEEN = {"chaos/belt": ("surface",), "chaos/tank": TANK_DETECTORS}
"""The detectors of the assets before cameras."""
_CLIP_S = 20
_MODELS = Path(__file__).parents[2] / "models"
_WINDOW = {"width": "3s", "hop": "500ms", "lateness": "300ms"}


@dataclass(frozen=True)
class Sources:
    """Where the line finds its MQTT broker and its cameras."""

    mqtt_port: int
    belt: str
    tank: str


def write_soak_plant(folder: Path, assets: list[str], prefix: str, sources: Sources) -> Path:
    """The plant file of `make chaos`, with rows for real cameras."""
    path = write_plant(folder, assets, prefix, PARTITIONS)
    plant: dict[str, Any] = yaml.safe_load(path.read_text())
    plant["mqtt"] = {"port": sources.mqtt_port, "client_id": f"edge-{prefix}"}
    plant["sites"][0]["assets"] += [
        {"id": "belt", "camera": {"rtsp": sources.belt, "rate": FPS, "size": [128, 128]}},
        {"id": "tank", "camera": {"kind": "thermal", "rtsp": sources.tank, "rate": 2.5}},
    ]
    plant["detectors"] += _detectors()
    plant["alarms"] += [
        {"id": "defect", "detector": "surface", "off_delay": "2s"},
        {"id": "overfilled", "detector": "overfill", "severity": "critical", "off_delay": "1s"},
        {"id": "blind", "detector": "eyes", "class": "instrument"},
    ]
    # Not as YAML: what is there twice would become an alias.
    path.write_text(json.dumps(plant))
    return path


def _detectors() -> list[dict[str, Any]]:
    belt, tank = {"assets": ["chaos/belt"]}, {"assets": ["chaos/tank"]}
    package = str(_MODELS / "piped-lite0")
    found: list[dict[str, Any]] = [
        {"id": "surface", "kind": "vision", "package": package, "hits": 3, **belt},
        {"id": "overfill", "kind": "limit", "signal": "level", "high": 72, **tank},
        {"id": "eyes", "kind": "instrument", **tank},
    ]
    return [{**one, "window": _WINDOW} for one in found]


def write_clips(folder: Path, seed: int) -> dict[str, tuple[Path, float]]:
    """What the cameras show, round and round: by name a folder for the RTSP server, and the
    frames a second."""
    film = Film(seed, True, 60, tiles())
    clips = {"belt": BELT, "tank": TANK}
    return {
        name: (h264_clip(folder / name, _filmed(film, asset), gop=FPS), float(FPS))
        for name, asset in clips.items()
    }


def _filmed(film: Film, asset: str) -> Iterator[Image]:
    return (film.picture(asset, number) for number in range(_CLIP_S * FPS))
