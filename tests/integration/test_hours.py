"""Windows made from panes, on a real Kafka: workers that are killed amid them, join and leave
change nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from contracts.readings import ReadingBatch
from contracts.topics import AGGREGATES
from tests.chaos.line import Line, equal, outcome, same_alarms
from tests.chaos.world import batches
from tests.conftest import RunningKafka

ASSETS = [f"works/a{number}" for number in range(8)]
ROWS = 16_000
PLANT = """
vigia: 1
kafka: {{prefix: {prefix}, partitions: 4}}
sites:
  - id: works
    assets: [{assets}]
signal_sets:
  line:
    rows: {{period: 100ms}}
    signals:
      - {{id: flow1, topic: "x/{{asset}}/flow1"}}
      - {{id: flow2, topic: "x/{{asset}}/flow2"}}
      - {{id: pre1, topic: "x/{{asset}}/pre1"}}
      - {{id: pre2, topic: "x/{{asset}}/pre2"}}
detectors:
  - {{id: now, kind: limit, signal: pre1, high: 0.31, window: {{width: 3s, hop: 1s}}}}
  - id: day
    kind: limit
    signal: flow2
    low: 0.95
    window: {{width: 40s, hop: 4s, lateness: 2s, pane: 2s}}
alarms:
  - {{id: pressure, detector: now}}
  - {{id: low-day, detector: day, on_delay: 4s, off_delay: 4s}}
"""


async def line(bootstrap: str, folder: Path, prefix: str, log: list[ReadingBatch]) -> Line:
    assets = ", ".join(f"{{id: {asset.split('/')[1]}, signals: line}}" for asset in ASSETS)
    plant = folder / f"{prefix}.yaml"
    plant.write_text(PLANT.format(prefix=prefix, assets=assets))
    made = Line(bootstrap, prefix, 4, plant, log)
    await made.create()
    return made


async def windows_wait(made: Line) -> None:
    """Until the worker holds windows that are made of panes."""
    while not any(
        account.held
        for status in made.statuses.values()
        for stage, account in status.account.items()
        if stage == "stream.aggregate-windows"
    ):
        made.check()
        await asyncio.sleep(0.1)
    made.statuses.clear()


@pytest.mark.slow
async def test_workers_killed_in_windows_of_panes_change_nothing(
    kafka: RunningKafka, tmp_path: Path, topic_prefix: str
) -> None:
    log, prefix = batches(17, ASSETS, ROWS), topic_prefix.rstrip(".")
    calm = await line(kafka.bootstrap, tmp_path, f"{prefix}c", log)
    await calm.publish()
    calm.start("a")
    try:
        await calm.drained()
    finally:
        calm.close()
    shaken = await line(kafka.bootstrap, tmp_path, f"{prefix}s", log)
    shaken.start("a")
    following = asyncio.create_task(shaken.follow_status())
    kept = []
    try:
        for to_row in (ROWS // 3, 2 * ROWS // 3):
            await shaken.publish(to_row)
            await windows_wait(shaken)
            kept.append(await shaken.lag(AGGREGATES.name))
            shaken.kill("a")
            shaken.start("a")
            if "b" not in shaken.workers:
                shaken.start("b")
        shaken.leave("b")
        await shaken.publish()
        await shaken.drained()
    finally:
        following.cancel()
        shaken.close()
    reference, found = await outcome(calm), await outcome(shaken)
    assert all(kept), "panes that open windows need are not committed"
    assert found.conflicts == reference.conflicts == 0
    assert equal(reference, found)
    assert same_alarms(reference, found)
    assert {alert.rule for alert in reference.alerts.values()} == {"pressure", "low-day"}
