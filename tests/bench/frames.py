"""What frames cost, from a file through edge, Kafka and worker to acknowledged detections, beside
bare decoding, scaling and ONNX Runtime on one thread.

Cameras play at their own speed, so what is compared is frames for each second of processor time:
frames a core. A worker that keeps up with cameras wakes for every frame, one that has frames
waiting takes many at a time; so both are measured. Latency is from the edge's receipt of the frame
that completed a window to the broker's time of the alarm.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil

from broker.reader import read
from broker.tether import spawn, stop
from contracts.messages import Alert, Status, Transition, decode_json
from contracts.readings import ReadingDecoder
from stream.adapters.onnx_image import ImagePackage, load_image_package
from stream.core.images import preprocess
from tests.bench.figures import figure
from tests.chaos.line import Line
from tests.clips import encode_h264

MODEL = Path(__file__).parents[2] / "models" / "piped-lite0"
CAMERAS, SECONDS, SIZE = 5, 16, (1280, 720)
FAST, SLOW = 60, 15
"""Frames/s of the clips."""
KEPT = 5
"""Frames/s that are kept of a slow clip, as of a camera in a plant."""
BLINK_S = 2
_SETTLE_S = 5.0
BARE = "bare decoding, scaling and ONNX Runtime, 720p"
LINE = "file to acknowledged detections, frames waiting for the worker"
LIVE = f"file to acknowledged detections, as {CAMERAS * FAST} frames/s come"


async def frames(bootstrap: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """All figures, each with its runs."""
    runs: dict[str, list[float]] = defaultdict(list)
    latencies: list[list[float]] = []
    clips = {fps: make_clip(folder, fps) for fps in (FAST, SLOW)}
    package = load_image_package(MODEL)
    for number in range(rounds):
        print(f"frames, round {number + 1} of {rounds}", file=sys.stderr)
        runs[BARE].append(_bare(clips[FAST], package))
        waiting = Play(bootstrap, clips[FAST], f"all{number}", FAST)
        runs[LINE].append(await waiting.waiting())
        live = Play(bootstrap, clips[FAST], f"live{number}", FAST)
        runs[LIVE].append(await live.live())
        latencies.append(await live.latencies_ms())
        runs["edge"].append(live.edge_ms)
        runs["worker, frames that wait"].append(waiting.worker_ms)
        runs["worker, frames as they come"].append(live.worker_ms)
        plant = Play(bootstrap, clips[SLOW], f"slow{number}", KEPT)
        runs["cameras"].append(await plant.live() / KEPT)
    found = [figure(BARE, "frames/s a core", runs[BARE])]
    found += [figure(one, "frames/s a core", runs[one], BARE, runs[BARE]) for one in (LINE, LIVE)]
    name = f"720p cameras, {KEPT} of {SLOW} frames/s"
    found.append(figure(name, "cameras a core", runs["cameras"]))
    for of in ("edge", "worker, frames that wait", "worker, frames as they come"):
        found.append(figure(f"processor time of a frame, {of}", "ms", runs[of]))
    together = [one for part in latencies for one in part]
    for q in (50, 99):
        name = f"frame to acknowledged alarm, {len(together)} alarms, p{q}"
        parts = [float(np.percentile(part, q)) for part in latencies]
        overall = {"overall": float(np.percentile(together, q))}
        found.append(figure(name, "ms", parts) | overall)
    return found


def make_clip(folder: Path, fps: int) -> Path:
    """A file of 720p: noise on a scene that gets bright and dark in turn."""
    r = np.random.default_rng(0)
    noise = r.integers(0, 30, (8, SIZE[1] // 2, SIZE[0] // 2, 3)).astype(np.uint8)
    images = []
    for number in range(SECONDS * fps):
        level = 150 if number // (BLINK_S * fps) % 2 else 60
        images.append(cv2.resize(noise[number % 8] + np.uint8(level), SIZE))
    file = folder / f"clip-{fps}.mkv"
    file.write_bytes(encode_h264(images, fps=fps, gop=fps, bit_rate=fps * 100_000))
    return file


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


class Play:
    """One play of a clip by all cameras, `kept` frames/s of it; to be used once."""

    def __init__(self, bootstrap: str, clip: Path, prefix: str, kept: int) -> None:
        self._folder = clip.parent / prefix
        self._folder.mkdir()
        self._frames = CAMERAS * kept * SECONDS
        plant = self._folder / "plant.yaml"
        plant.write_text(_plant(prefix, clip, kept))
        self._line = Line(bootstrap, prefix, 4, plant, [])
        self.edge_ms = self.worker_ms = 0.0

    async def live(self, look: Callable[[int], None] | None = None) -> float:
        """Frames for each second of processor time of edge and worker, both at work at once. The
        worker's number is told to `look`."""
        await self._line.create()
        worker = await self._worker("a", look)
        begun = _cpu(worker)
        spent = await self._edge()
        await self._done()
        return await self._seen(spent, _cpu(worker) - begun)

    async def waiting(self, look: Callable[[int], None] | None = None) -> float:
        """The same, where the worker starts when all frames are written."""
        await self._line.create()
        start_up = _cpu(await self._worker("a"))
        self._line.close()
        spent = await self._edge()
        worker = await self._worker("b", look)
        await self._done()
        return await self._seen(spent, _cpu(worker) - start_up)

    async def _worker(self, name: str, look: Callable[[int], None] | None = None) -> psutil.Process:
        """A worker that has told that it is there, and has settled."""
        self._line.start(name)
        async for record in read(self._line.bootstrap, f"{self._line.prefix}.status"):
            if decode_json(Status, record.value).process == f"stream/{name}-{self._line.started}":
                break
        if look is not None:
            look(self._line.workers[name].pid)
        await asyncio.sleep(_SETTLE_S)
        return psutil.Process(self._line.workers[name].pid)

    async def _edge(self) -> float:
        """Lets an edge play; the seconds of processor time that it took, without its start."""
        line = self._line
        argv = [sys.executable, "-m", "edge", "run", "--plant", str(line.plant)]
        argv += ["--kafka", line.bootstrap, "--instance", "bench"]
        argv += ["--spool", str(self._folder / "spool")]
        with (self._folder / "edge.log").open("wb") as output:
            edge = spawn(argv, output=output)
        try:
            await asyncio.sleep(SECONDS + 6)
            return _cpu(psutil.Process(edge.pid)) - _start_up()
        finally:
            await asyncio.to_thread(stop, edge)

    async def _done(self) -> None:
        """Until no frame waits, and what came of the last ones is decided: readings of windows
        that are still open stay uncommitted."""
        while await self._line.lag("frames"):
            await asyncio.sleep(0.5)
        await asyncio.sleep(2)

    async def _seen(self, edge_s: float, worker_s: float) -> float:
        """Frames a second of those that edge and worker spent: those that the image model scored,
        among the readings that windows are made of."""
        self._line.close()
        count, decoder = 0, ReadingDecoder()
        topic = f"{self._line.prefix}.readings"
        async for record in read(self._line.bootstrap, topic, until_end=True):
            batch = decoder.decode(record.value, record.headers)
            count += int(np.isfinite(batch.values[:, batch.signals.index("spots")]).sum())
        if count < 0.5 * self._frames:
            raise SystemExit(f"bench: {count} of {self._frames} frames were looked at")
        self.edge_ms, self.worker_ms = 1000 * edge_s / count, 1000 * worker_s / count
        return count / (edge_s + worker_s)

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


def _plant(prefix: str, clip: Path, kept: int) -> str:
    width = json.dumps(load_image_package(MODEL).manifest.size)
    camera = f"{{video: {clip}, rate: {kept}, size: {width}, idle: 60s}}"
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
