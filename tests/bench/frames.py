"""`python -m tests.bench.frames`: what frames cost, from a file through edge, Kafka and worker to
acknowledged detections, beside bare decoding, scaling and ONNX Runtime; BENCH_RUNS rounds (3).

Cameras play at their own speed, so what is compared is frames for each second of processor time:
frames a core. Latency is from the edge's receipt of the frame that completed a window to the
broker's acknowledgement of the alarm.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil

from broker.kafka_local import LocalKafka
from broker.reader import read
from broker.tether import spawn, stop
from contracts.messages import Alert, Status, Transition, decode_json
from contracts.readings import ReadingDecoder
from stream.adapters.onnx_image import ImagePackage, load_image_package
from stream.core.images import preprocess
from tests.bench.__main__ import figure
from tests.chaos.line import Line
from tests.clips import encode_h264

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "piped-lite0"
CAMERAS, FPS, SECONDS, SIZE = 3, 15, 24, (1280, 720)
BLINK_S = 2
BARE = "bare decoding, scaling and ONNX Runtime"
LINE = "edge and worker, from file to detections"


def main() -> int:
    for one in asyncio.run(frames(int(os.environ.get("BENCH_RUNS", "3")))):
        compared = f"   {one['ratio']:.2f} of {one['ratio_to']}" if one["ratio_to"] else ""
        print(f"{one['median']:>8.1f} {one['unit']} {one['name']}{compared}  runs {one['runs']}")
    return 0


async def frames(rounds: int) -> list[dict[str, Any]]:
    """All figures, each with its runs."""
    runs: dict[str, list[float]] = defaultdict(list)
    latencies: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "clip.mkv").write_bytes(_clip())
        package = load_image_package(MODEL)
        with LocalKafka(folder / "kafka") as kafka:
            for number in range(rounds):
                runs[BARE].append(_bare(folder / "clip.mkv", package))
                run = _Run(kafka.bootstrap, folder, f"frames{number}", FPS, asked=60)
                runs[LINE].append(await run.frames_a_core())
                latencies += await run.latencies_ms()
                slow = _Run(kafka.bootstrap, folder, f"slow{number}", 5)
                runs["cameras"].append(await slow.frames_a_core() / 5)
    found = [
        figure(BARE, "frames/s a core", runs[BARE]),
        figure(LINE, "frames/s a core", runs[LINE], BARE, runs[BARE]),
        figure("720p cameras at 5 of 15 frames/s", "cameras a core", runs["cameras"]),
    ]
    split = np.array_split(np.array(latencies), rounds)
    for q in (50, 99):
        parts = [float(np.percentile(part, q)) for part in split if len(part)]
        name = f"frame to acknowledged alarm, {len(latencies)} alarms, p{q}"
        found.append(figure(name, "ms", parts))
    return found


def _clip() -> bytes:
    """720p: noise on a scene that gets bright and dark in turn."""
    r = np.random.default_rng(0)
    noise = r.integers(0, 30, (8, SIZE[1] // 2, SIZE[0] // 2, 3)).astype(np.uint8)
    images = []
    for number in range(SECONDS * FPS):
        level = 150 if number // (BLINK_S * FPS) % 2 else 60
        images.append(cv2.resize(noise[number % 8] + np.uint8(level), SIZE))
    return encode_h264(images, fps=FPS, gop=FPS, bit_rate=2_000_000)


def _bare(clip: Path, package: ImagePackage) -> float:
    """Frames for each second of this process, in one thread."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    began, count = time.process_time(), 0
    with av.open(str(clip)) as container:
        container.streams.video[0].thread_count = 1
        for frame in container.decode(video=0):
            shown = frame.to_ndarray(format="rgb24")
            image = np.asarray(cv2.resize(shown, package.manifest.size), np.uint8)
            package.session.run(
                ("score", "heat"), {"image": preprocess(image[None], package.manifest)}
            )
            count += 1
    cv2.setNumThreads(threads)
    return count / (time.process_time() - began)


class _Run:
    """One play of the clip by all cameras."""

    def __init__(
        self, bootstrap: str, folder: Path, prefix: str, rate: int, asked: float | None = None
    ) -> None:
        self._folder = folder / prefix
        self._folder.mkdir()
        self._frames = CAMERAS * rate * SECONDS
        plant = self._folder / "plant.yaml"
        plant.write_text(_plant(prefix, folder / "clip.mkv", asked or rate))
        self._line = Line(bootstrap, prefix, 4, plant, [])

    async def frames_a_core(self) -> float:
        """Frames for each second of the edge's and the worker's processor time, without what
        they take to start."""
        line = self._line
        await line.create()
        line.start("a")
        await _told(line, "stream")
        await asyncio.sleep(5)
        worker = psutil.Process(line.workers["a"].pid)
        begun = _cpu(worker)
        argv = [sys.executable, "-m", "edge", "run", "--plant", str(line.plant)]
        argv += ["--kafka", line.bootstrap, "--instance", "bench"]
        with (self._folder / "edge.log").open("wb") as output:
            edge = spawn(argv, output=output)
        try:
            await asyncio.sleep(SECONDS + 6)
            spent = _cpu(worker) - begun + _cpu(psutil.Process(edge.pid)) - _start_up()
        finally:
            await asyncio.to_thread(stop, edge)
            line.close()
        seen = await self._looked_at()
        if seen < 0.6 * self._frames:
            raise SystemExit(f"bench: {seen} of {self._frames} frames were looked at")
        return seen / spent

    async def latencies_ms(self) -> list[float]:
        """Of every alarm that was raised."""
        found = []
        async for record in read(
            self._line.bootstrap, f"{self._line.prefix}.alerts", until_end=True
        ):
            alert = decode_json(Alert, record.value)
            if alert.transition is Transition.RAISED and alert.rule == "bright-alarm":
                found.append(record.timestamp_ms - alert.received_us / 1000)
        return found

    async def _looked_at(self) -> int:
        """Frames that the image model scored, among the readings that windows are made of."""
        count, decoder = 0, ReadingDecoder()
        topic = f"{self._line.prefix}.readings"
        async for record in read(self._line.bootstrap, topic, until_end=True):
            batch = decoder.decode(record.value, record.headers)
            count += int(np.isfinite(batch.values[:, batch.signals.index("spots")]).sum())
        return count


def _plant(prefix: str, clip: Path, rate: float) -> str:
    width = json.dumps(load_image_package(MODEL).manifest.size)
    camera = f"{{video: {clip}, rate: {rate}, size: {width}, idle: 60s}}"
    assets = "\n".join(f"      - {{id: c{n}, camera: {camera}}}" for n in range(CAMERAS))
    return f"""
vigia: 1
kafka: {{prefix: {prefix}}}
sites:
  - id: bench
    assets:
{assets}
detectors:
  - {{id: spots, kind: vision, package: {MODEL}, window: {{width: 1s, hop: 1s}}}}
  - {{id: bright, kind: limit, signal: brightness, of: last, high: 100,
     window: {{width: 200ms, hop: 200ms}}}}
alarms:
  - {{id: bright-alarm, detector: bright}}
"""


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _start_up() -> float:
    """Processor time that an edge takes to load what it needs."""
    code = "import edge.__main__, av, cv2, aiokafka"
    before = os.times()
    spawned = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", code])
    os.waitpid(spawned, 0)
    after = os.times()
    return (
        after.children_user
        + after.children_system
        - (before.children_user + before.children_system)
    )


async def _told(line: Line, room: str) -> None:
    async for record in read(line.bootstrap, f"{line.prefix}.status"):
        if decode_json(Status, record.value).process.startswith(room):
            return


if __name__ == "__main__":
    sys.exit(main())
