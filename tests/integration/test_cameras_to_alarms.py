"""From pictures to alarms on a real Kafka: a belt with a defect on it, a tank that overfills, and
a camera that says nothing any more."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from broker.reader import read
from contracts.frames import EvidenceHeaders
from contracts.headers import header_map
from contracts.messages import Alert, decode_json
from stream.core.frames import Image
from tests.chaos.line import Line
from tests.conftest import RunningKafka
from tests.integration.camera_world import watching
from tests.integration.edge_world import PARTITIONS

ROOT = Path(__file__).parents[2]
TILES = ROOT / "vigia" / "demo" / "data" / "belt"
PLANT = """
vigia: 1
kafka: {{prefix: {prefix}, partitions: {partitions}}}
sites:
  - id: works
    assets:
      - {{id: belt, camera: {{folder: {folder}/belt, rate: 4, quality: 95, idle: 3s}}}}
      - {{id: tank, camera: {{kind: thermal, folder: {folder}/tank, rate: 4, encoding: png}}}}
detectors:
  - {{id: spots, kind: vision, package: piped-lite0, hits: 2, assets: [works/belt],
     window: {{width: 3s, hop: 1s}}}}
  - {{id: full, kind: limit, signal: level, of: median, high: 75, assets: [works/tank],
     window: {{width: 2s, hop: 1s}}}}
  - {{id: eyes, kind: instrument, signals: [brightness], share: 0.9, assets: [works/belt],
     window: {{width: 3s, hop: 3s}}}}
alarms:
  - {{id: defect, detector: spots}}
  - {{id: overfilled, detector: full, severity: critical}}
  - {{id: blind, detector: eyes, class: instrument}}
"""
CALM, WILD = 24, 16
PERIOD_S = 0.3


def tank(level: float, number: int) -> Image:
    r = np.random.default_rng(number)
    surface = round(240 * (1 - level))
    rows = np.full(240, 35.0)
    rows[surface:] = 215
    rows[200:] = 100
    picture = cv2.GaussianBlur(rows[:, None].repeat(320, axis=1), (1, 9), 2)
    return np.asarray(np.clip(picture + r.normal(0, 3, picture.shape), 0, 255), np.uint8)


async def film(folder: Path) -> None:
    """First nothing happens; then there are defects on the belt, and the tank is too full."""
    good, bad = sorted((TILES / "good").glob("*.png")), sorted((TILES / "defect").glob("*.png"))
    for number in range(CALM + WILD):
        wild = number >= CALM
        tile = (bad if wild else good)[number % 16]
        shutil.copy(tile, folder / "belt" / f"{number:04}.png")
        cv2.imwrite(str(folder / "tank" / f"{number:04}.png"), tank(0.9 if wild else 0.6, number))
        await asyncio.sleep(PERIOD_S)


async def alerts(line: Line) -> list[tuple[str, str]]:
    records = read(line.bootstrap, f"{line.prefix}.alerts", until_end=True)
    found = [decode_json(Alert, record.value) async for record in records]
    return [(alert.rule, alert.reason) for alert in found if alert.transition == "raised"]


@pytest.mark.timeout(180)
async def test_pictures_become_alarms(
    kafka: RunningKafka, topic_prefix: str, tmp_path: Path
) -> None:
    prefix = topic_prefix.strip(".")
    for name in ("belt", "tank"):
        (tmp_path / name).mkdir()
    shutil.copytree(ROOT / "models" / "piped-lite0", tmp_path / "piped-lite0")
    plant = tmp_path / "plant.yaml"
    plant.write_text(PLANT.format(prefix=prefix, partitions=PARTITIONS, folder=tmp_path))
    line = Line(kafka.bootstrap, prefix, PARTITIONS, plant, [])
    await line.create()
    line.start("a")
    try:
        with watching(tmp_path, plant.read_text(), kafka.bootstrap):
            await film(tmp_path)
            # Then the cameras are silent: the edge says so, and it becomes an alarm.
            while ("blind", "missing") not in await alerts(line):
                line.check()
                await asyncio.sleep(0.5)
    finally:
        line.close()
    raised = await alerts(line)
    assert sorted(raised) == [
        ("blind", "missing"),
        ("defect", "image"),
        ("overfilled", "limit-high"),
    ]
    records = read(line.bootstrap, f"{line.prefix}.evidence", until_end=True)
    pictures = [record async for record in records]
    seen = [EvidenceHeaders.parse(header_map(record.headers)) for record in pictures]
    assert len(seen) >= 2
    assert {one.detector for one in seen} == {"spots"}
    shown = cv2.imdecode(np.frombuffer(pictures[0].value or b"", np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
