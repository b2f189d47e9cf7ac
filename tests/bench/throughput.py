"""Rows a second: one worker from Kafka to acknowledged detections, beside bare ONNX Runtime on
the same windows and bare aiokafka on the same bytes. A row counts when a hop's share of its
windows is decided, so that all figures are of the same rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from numpy.typing import NDArray

from broker.reader import read
from contracts.messages import DetectionBatch, decode_json
from contracts.plant import read_plant
from contracts.readings import ReadingBatch
from stream.adapters.onnx_package import BATCH, OnnxPackage, load_package
from stream.core.autoencoder import to_grid
from stream.core.detect import Detect, Fetched
from stream.core.detectors import Detector
from stream.core.features import extract
from stream.core.rules import rule
from tests.bench.plants import HOP_ROWS, assets_of, batches, write_plant
from tests.chaos.line import Line

ASSETS, ROWS, PARTITIONS = 200, 800_000, 4
WARM = 0.15
"""The share of a worker's detections that is left out: it starts within it."""


@dataclass
class Throughput:
    """The same input for all that is measured."""

    bootstrap: str
    folder: Path
    size: int
    log: list[ReadingBatch]
    features: NDArray[np.float32]
    package: OnnxPackage
    runs: int = 0

    @classmethod
    def prepare(cls, bootstrap: str, folder: Path, size: int) -> Throughput:
        """Makes the input, in batches of `size` rows, and the windows that a model sees of it."""
        assets = assets_of(ASSETS)
        log = batches(assets, ROWS, size)
        plant_file = write_plant(folder, assets, "prepare", ("balance",))
        package = load_package(folder / "model")
        features = _features(plant_file, log[: len(log) // 4], package)
        return cls(bootstrap, folder, size, log, features, package)

    def bare_onnx(self) -> float:
        """Rows a second of ONNX Runtime alone, with the session and batch of a worker."""
        began = time.perf_counter()
        for at in range(0, len(self.features), BATCH):
            batch = self.features[at : at + BATCH]
            self.package.session.run(("score", "errors"), {"window": batch})
        return len(self.features) * HOP_ROWS / (time.perf_counter() - began)

    async def worker(
        self,
        detectors: tuple[str, ...],
        count: int = 1,
        warm: float = WARM,
        look: Callable[[int], None] | None = None,
    ) -> tuple[float, Line]:
        """Rows a second of so many worker processes that find everything on the log. The number
        of each is told to `look` as it starts to read."""
        self.runs += 1
        prefix = f"bench{self.size}-{self.runs}"
        plant = write_plant(self.folder, assets_of(ASSETS), prefix, detectors)
        line = Line(self.bootstrap, prefix, PARTITIONS, plant, self.log)
        await line.create()
        await line.publish()
        for name in "abcd"[:count]:
            line.start(name)
        try:
            if look is not None:
                await line.begun()
                for worker in line.workers.values():
                    look(worker.pid)
            await line.drained()
        finally:
            line.close()
        return await _rate(line, warm), line

    async def bare_reader(self, line: Line) -> float:
        """Rows a second of aiokafka reading the same bytes and doing nothing with them."""
        places = [TopicPartition(f"{line.prefix}.readings", p) for p in range(PARTITIONS)]
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign(places)
            await consumer.seek_to_beginning()
            began, seen = time.perf_counter(), 0
            while seen < len(self.log):
                found = await consumer.getmany(timeout_ms=1000, max_records=500)
                seen += sum(len(records) for records in found.values())
            return ROWS / (time.perf_counter() - began)
        finally:
            await consumer.stop()


def _features(
    plant_file: Path, log: list[ReadingBatch], package: OnnxPackage
) -> NDArray[np.float32]:
    plant = read_plant(plant_file.read_text())
    rules = {section.id: rule(section) for section in plant.detectors}
    detectors: dict[str, Detector] = {k: v for k, v in rules.items() if v is not None}
    detect = Detect(plant, detectors)
    detect.assign([0])
    manifest, found = package.manifest, []
    detect.take([Fetched(0, offset, batch) for offset, batch in enumerate(log)])
    for one in detect.ready():
        values = to_grid(one.block, manifest.signals, manifest.window.rows)
        scale = manifest.scaler(one.block.assets)
        made = extract(values, manifest.signals, manifest.feature_set(), *scale)
        found.append(made.x[made.measured])
    features = np.concatenate(found)
    return features[: len(features) // BATCH * BATCH]


async def _rate(line: Line, warm: float) -> float:
    acknowledged: list[tuple[int, int]] = []
    async for record in read(line.bootstrap, f"{line.prefix}.detections", until_end=True):
        count = len(decode_json(DetectionBatch, record.value))
        acknowledged.append((record.timestamp_ms, count))
    return rate(acknowledged, warm)


def rate(acknowledged: Sequence[tuple[int, int]], warm: float = WARM) -> float:
    """Rows a second by the broker's own clock: (time in ms, windows) of every message with
    results; the first `warm` of the windows is left out."""
    acknowledged = sorted(acknowledged)
    times = np.array([at for at, _ in acknowledged])
    counts = np.cumsum([count for _, count in acknowledged])
    start = int(np.searchsorted(counts, counts[-1] * warm))
    start = int(np.searchsorted(times, times[start], side="right")) - 1
    windows = counts[-1] - counts[start]
    return float(windows * HOP_ROWS / ((times[-1] - times[start]) / 1000))
