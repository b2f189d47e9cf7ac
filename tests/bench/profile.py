"""`make profile`: what a worker at full load spends its time on, by py-spy, as tables in Markdown.

Everything is on the log before the worker starts. A sample of a thread counts for the innermost
function that belongs to one of PARTS; samples of threads that wait for work do not count. What
py-spy wrote is kept in PROFILE_FOLDER, if that is set, for a flame graph. `python -m
tests.bench.profile PART...`: some of balance, model, frames and live.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from broker.kafka_local import LocalKafka
from tests.bench.frames import FAST, Play, make_clip
from tests.bench.throughput import Throughput

SIZE, HZ, LIMIT_S = 100, 250, 120
ROWS = {"balance": "A rule", "model": "The autoencoder"}
FRAMES = {"frames": "Frames that wait", "live": "Frames as they come"}
WAITING = (
    "_worker (concurrent/futures/thread.py",
    "select (selectors.py",
    "wait (threading.py",
)
PARTS = (
    ("ONNX Runtime", ("onnxruntime_inference_collection.py",)),
    (
        "images decoded and fitted",
        ("stream/adapters/images.py", "frame_model.py", "image_heads.py"),
    ),
    ("pictures to the model's input", ("stream/core/images.py", "stream/adapters/onnx_image.py")),
    ("rows of frames", ("frame_agent.py", "stream/core/frames.py", "contracts/frames.py")),
    ("features", ("stream/core/features.py", "stream/core/autoencoder.py", "core/manifest.py")),
    ("model's batches", ("stream/adapters/onnx_package.py",)),
    ("rules", ("stream/core/rules.py", "stream/core/aggregates.py", "stream/core/vision.py")),
    ("windows", ("core/windower.py", "core/rowstore.py", "core/segments.py", "core/windows.py")),
    (
        "batches to windows",
        ("core/fleet.py", "core/detect.py", "core/ledger.py", "detect_agent.py"),
    ),
    ("readings decoded", ("contracts/readings.py",)),
    ("detections written", ("stream/core/detectors.py", "contracts/identity.py")),
    ("alarms", ("stream/core/alarms.py", "alarm_agent.py", "contracts/messages.py")),
    ("Kafka: fetched", ("aiokafka/consumer/", "faust/", "faust_log.py", "adapters/lane.py")),
    ("Kafka: sent", ("broker/", "aiokafka/producer/", "aiokafka/record/", "contracts/headers.py")),
    ("Kafka: connection", ("aiokafka/",)),
)
NOBODYS = "event loops and threads"


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="profile-") as name,
        LocalKafka(Path(name) / "kafka") as kafka,
    ):
        folder = Path(name)
        asyncio.run(_profile(kafka.bootstrap, folder, sys.argv[1:] or [*ROWS, *FRAMES]))
        if kept := os.environ.get("PROFILE_FOLDER"):
            Path(kept).mkdir(parents=True, exist_ok=True)
            for file in folder.glob("*.raw"):
                shutil.copy(file, kept)
    return 0


async def _profile(bootstrap: str, folder: Path, asked: Sequence[str]) -> None:
    measured: Throughput | None = None
    for one in asked:
        recorder = _Recorder(folder / f"{one}.raw")
        if one in FRAMES:
            told = FRAMES[one]
            play = Play(bootstrap, make_clip(folder, FAST), one, FAST)
            await (play.live if one == "live" else play.waiting)(recorder.start)
        else:
            told = f"{ROWS[one]}, batches of {SIZE} rows"
            measured = measured or Throughput.prepare(bootstrap, folder, SIZE)
            await measured.worker((one,), look=recorder.start)
        print(table(told, recorder.stacks()), flush=True)


class _Recorder:
    """py-spy beside one process, until that ends."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, pid: int) -> None:
        """From now on."""
        argv = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid)]
        argv += ["--rate", str(HZ), "--duration", str(LIMIT_S), "--threads", "--nonblocking"]
        argv += ["--format", "raw", "--output", str(self._file)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet)

    def stacks(self) -> Iterable[tuple[list[str], int]]:
        """Each stack, outermost first, and how often it was seen; once the process has ended."""
        assert self._process is not None
        self._process.wait(LIMIT_S)
        for line in self._file.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            yield stack.split(";"), int(count)


def table(title: str, stacks: Iterable[tuple[list[str], int]]) -> str:
    """Shares of the samples by part, the largest first, in Markdown."""
    seen = Counter[str]()
    for stack, count in stacks:
        if not any(word in stack[-1] for word in WAITING):
            seen[part_of(stack)] += count
    total = sum(seen.values())
    lines = [f"\n| {title} | share of {total:,} samples |", "|---|---|"]
    lines += [f"| {part} | {count / total:.1%} |" for part, count in seen.most_common()]
    return "\n".join(lines)


def part_of(stack: list[str]) -> str:
    """Whose the innermost function is that belongs to somebody."""
    for function in reversed(stack):
        for part, words in PARTS:
            if any(word in function for word in words):
                return part
    return NOBODYS


if __name__ == "__main__":
    sys.exit(main())
