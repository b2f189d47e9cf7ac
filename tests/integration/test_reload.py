"""Another model package and another plant file under workers that run, on a real Kafka."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from broker.reader import read
from contracts.messages import DetectionBatch, Status, decode_json
from contracts.plant import read_plant
from stream.core.alarms import Alarms
from tests.chaos.line import Line, outcome
from tests.chaos.world import DETECTORS, batches, count_windows, write_plant
from tests.conftest import RunningKafka

ASSETS = [f"chaos/a{number:03d}" for number in range(12)]
PARTITIONS = 4


@asynccontextmanager
async def working(
    kafka: RunningKafka, folder: Path, prefix: str, rows: int, *workers: str
) -> AsyncIterator[Line]:
    """Workers at work, which look at the disk every 0.2 s."""
    plant = write_plant(folder, ASSETS, prefix, PARTITIONS)
    log = batches(5, ASSETS, rows)
    options = ("--look", "0.2", "--state", str(folder / "state"))
    made = Line(kafka.bootstrap, prefix, PARTITIONS, plant, log, options=options)
    await made.create()
    for worker in workers:
        made.start(worker)
    following = asyncio.create_task(made.follow_status())
    try:
        yield made
    finally:
        made.close()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def put(file: Path, content: bytes) -> None:
    """In one step, as it should be done."""
    beside = file.with_suffix(".new")
    beside.write_bytes(content)
    beside.rename(file)


def next_version(made: Line, version: str, factor: float) -> None:
    """The same model with other thresholds: nearly every decision is another one."""
    file = made.plant.parent / "model" / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["version"] = version
    for asset in manifest["assets"].values():
        asset["threshold"] *= factor
    put(file, json.dumps(manifest).encode())


def edit(made: Line, old: str, new: str) -> None:
    text = made.plant.read_text()
    assert old in text
    put(made.plant, text.replace(old, new).encode())


async def until(made: Line, condition: Callable[[Status], bool], count: int = 1) -> None:
    """Returns once so many workers say so."""
    async with asyncio.timeout(60):
        while sum(condition(status) for status in made.statuses.values()) < count:
            await asyncio.sleep(0.05)


def busy(status: Status) -> bool:
    windows = status.account.get("stream.windows")
    return windows is not None and windows.gone_out > 0


async def decided(made: Line) -> list[DetectionBatch]:
    """All that lies on the log of detections, each partition's in order."""
    return [
        decode_json(DetectionBatch, record.value)
        async for record in read(made.bootstrap, f"{made.prefix}.detections", until_end=True)
    ]


async def publish_until(made: Line, condition: Callable[[DetectionBatch], bool]) -> None:
    """Publishes, a little at a time, until such a detection lies on the log."""
    while not await came(made, condition):
        assert made.next_batch < len(made.log), "all is published, and it never came"
        await made.publish(made.written + 1)


async def came(made: Line, condition: Callable[[DetectionBatch], bool]) -> bool:
    """Whether it comes of what is published by now: a worker that starts needs its time."""
    for _ in range(20):
        if any(map(condition, await decided(made))):
            return True
        await asyncio.sleep(0.5)
    return False


def by_model(version: str) -> Callable[[DetectionBatch], bool]:
    return lambda batch: batch.model is not None and batch.model.version == version


async def test_another_model_and_another_limit_while_workers_are_killed(
    kafka: RunningKafka, tmp_path: Path, topic_prefix: str
) -> None:
    prefix = topic_prefix.rstrip(".")
    async with working(kafka, tmp_path, prefix, 12_000, "a", "b") as made:
        await made.publish(3_000)
        await until(made, busy)
        next_version(made, "2.0.0", 0.3)
        await publish_until(made, by_model("2.0.0"))
        publishing = asyncio.create_task(made.publish(made.written + 1_000))
        made.kill("a")
        made.start("a")
        await publishing
        # Not taken up by who dies at that moment: who comes next begins with it, in the middle.
        known = {batch.plant for batch in await decided(made)}
        edit(made, "high: 0.31", "high: 0.2")
        made.kill("b")
        made.start("b")
        await publish_until(made, lambda batch: batch.plant not in known)
        next_version(made, "3.0.0", 5.0)
        await publish_until(made, by_model("3.0.0"))
        await made.publish()
        await made.drained()
        made.close()
    batches_on_log = await decided(made)
    found = await outcome(made)
    assert found.conflicts == 0
    assert len(found.detections) == len(count_windows(made.log)) * len(DETECTORS)
    models = [one.model.version for one in batches_on_log if one.model is not None]
    assert len(set(models)) == 3, "each version has decided something"
    assert len({one.plant for one in batches_on_log}) == 2
    for asset in ASSETS:
        told = [b for b in batches_on_log if b.asset == asset and b.model is not None]
        versions = [(b.model.version, b.start_us) for b in told if b.model is not None]
        assert versions == sorted(versions), "a window is decided by a version that went before"
    alarms = Alarms(read_plant(made.plant.read_text()))
    alerts = [alert for batch in batches_on_log for alert in alarms.apply(batch)[0]]
    assert {alert.id for alert in alerts} == found.alerts.keys()
    assert alerts


async def test_what_is_bad_is_refused_and_said_and_the_old_one_goes_on(
    kafka: RunningKafka, tmp_path: Path, topic_prefix: str
) -> None:
    prefix = topic_prefix.rstrip(".")
    async with working(kafka, tmp_path, prefix, 4_000, "a") as made:
        await made.publish(1_000)
        await until(made, busy)
        model = made.plant.parent / "model" / "model.onnx"
        whole, text = model.read_bytes(), made.plant.read_bytes()
        put(model, whole[: len(whole) // 2])
        await until(made, refused(1, "model.onnx: not the file that the manifest names"))
        put(model, whole)
        await until(made, lambda s: s.plant is not None and not (s.plant.differs or s.notes))
        edit(made, "high: 0.31", "high: lots")
        await until(made, refused(2, "detectors[1].high"))
        # Who starts now goes on by what was in use before.
        made.kill("a")
        made.start("a")
        await until(made, refused(1, "detectors[1].high"))
        put(made.plant, text.replace(b"partitions: 4", b"partitions: 8"))
        await until(made, refused(2, "kafka.partitions: expected 4, as when this process started"))
        await made.publish(3_000)
        put(made.plant, text.replace(b"high: 0.31", b"high: 0.2"))
        await until(made, lambda s: s.plant is not None and s.plant.taken == 1 and not s.notes)
        await made.publish()
        await made.drained()
        made.close()
    found = await outcome(made)
    assert found.conflicts == 0
    assert len(found.detections) == len(count_windows(made.log)) * len(DETECTORS)
    assert len({one.plant for one in await decided(made)}) == 2


def refused(times: int, why: str) -> Callable[[Status], bool]:
    """Whether a worker refused so often, and says why."""

    def said(status: Status) -> bool:
        use = status.plant
        if use is None or not use.differs or use.refused != times:
            return False
        return any(why in note for note in status.notes)

    return said
