"""A whole line under `vigia run`, between a real MQTT broker and a real Kafka, that can be hurt."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from broker.kafka_local import LocalKafka
from broker.loopback import free_port
from tests.faults.follower import Follower
from tests.faults.meters import Meters, now_us
from tests.faults.plant import METERS
from tests.processes.marked import MarkedProcess
from tests.processes.mosquitto import Mosquitto

LOOK_S = 0.1
BEHIND_US = 3_500_000
"""A window's end is decided so long after it at most: lateness, heartbeats, and a look."""
ON_WAY_US = 1_500_000
ROOMS = {
    "edge": ("edge", "run"),
    "worker": ("stream", "worker", "box-1"),
    "second": ("stream", "worker", "box-2"),
    "exporter": ("exporters", "prometheus"),
}
_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$", re.M)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Samples = list[tuple[dict[str, str], float]]


class Never(AssertionError):
    """What was waited for did not come to be."""


@dataclass
class World:
    """`run` is the command with its rooms; what it writes is what an operator reads. `sees`: it has
    cameras alone. What was before `since_us` is no longer looked for."""

    kafka: LocalKafka
    mqtt: Mosquitto
    folder: Path
    prefix: str
    plant: Path
    meters: Meters
    follower: Follower
    workers: int = 2
    sees: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)
    since_us: int = 0
    metrics_port: int = field(default_factory=free_port)
    _run: MarkedProcess | None = None

    @property
    def data(self) -> Path:
        """The folder of `vigia run`, with its logs and the edge's spool."""
        return self.folder / "data"

    @property
    def spool(self) -> Path:
        """Where the edge keeps what Kafka does not take."""
        return self.data / "spool"

    @property
    def run(self) -> MarkedProcess:
        assert self._run is not None
        return self._run

    async def start(self) -> None:
        """Returns once every room runs, and the edge hears: before its first session the MQTT
        broker keeps nothing for it."""
        self.data.mkdir(parents=True, exist_ok=True)
        argv = ["run", "--plant", str(self.plant), "--kafka", self.kafka.bootstrap]
        argv += ["--workers", str(self.workers), "--data", str(self.data)]
        argv += ["--metrics-port", str(self.metrics_port)]
        environ = {"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", **self.environ}
        self._run = MarkedProcess(argv, self.folder / "run.txt", environ)
        await asyncio.to_thread(self.run.wait_for, "sensors", 90)
        self.follower.start()
        hears = "cameras, " if self.sees else "MQTT: "
        await self.until(lambda: hears in self.log("edge"), "the edge does not hear")

    async def stop(self) -> None:
        """Ends all of it."""
        await self.follower.stop()
        if self._run is not None:
            self._run.signal(signal.SIGINT)
            await asyncio.to_thread(self._run.gone, 15)
            self._run.kill_all()

    async def mend(self) -> None:
        """After a fault that was left half-way: Kafka is there, and sensors are as ever."""
        if self.kafka.pid is not None:
            os.kill(self.kafka.pid, signal.SIGCONT)
        await asyncio.to_thread(self.kafka.start)
        self.meters.calm()

    def pid(self, room: str) -> int:
        """The process id of a room that runs."""
        return self.run.find(*ROOMS[room]).pid

    def log(self, room: str) -> str:
        """What a room has written."""
        names = {"edge": "edge-box", "worker": "stream-box-1", "second": "stream-box-2"}
        file = self.data / "logs" / f"{names.get(room, 'exporters-box')}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    async def kill(self, room: str) -> int:
        """SIGKILL; how many bytes `vigia run` had written before."""
        said = len(self.run.text)
        os.kill(await asyncio.to_thread(self.pid, room), signal.SIGKILL)
        return said

    async def end(self, room: str) -> float:
        """SIGTERM; the seconds until it was gone."""
        process = psutil.Process(await asyncio.to_thread(self.pid, room))
        process.terminate()
        return await self.until(lambda: _is_gone(process), f"{room} does not end by SIGTERM", 30)

    async def until(
        self, true: Callable[[], bool | Awaitable[bool]], why: str, limit_s: float = 60.0
    ) -> float:
        """The seconds until something is true. Raises Never."""
        since = time.monotonic()
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return time.monotonic() - since
            if time.monotonic() - since > limit_s:
                raise Never(f"{why}, not within {limit_s:.0f} s")
            await asyncio.sleep(LOOK_S)

    async def said(self, text: str, after: int, limit_s: float = 60.0) -> float:
        """The seconds until `vigia run` has written `text` behind its first `after` bytes."""
        return await self.until(
            lambda: text in self.run.text[after:], f"nobody said {text!r}", limit_s
        )

    def live(self) -> bool:
        """Whether all that was confirmed is on the log, and decided up to now."""
        now = now_us()
        behind = self.decided_us() < now - BEHIND_US
        return not behind and not self.missing(now - ON_WAY_US, self.since_us)

    def decided_us(self) -> int:
        """The end of the newest window that is decided of every meter."""
        return min(self.follower.newest_us[asset, "mean"] for asset in METERS)

    def missing(self, until_us: int, since_us: int = 0) -> int:
        """Confirmed rows of that time that are not on the log."""
        there, confirmed = self.follower.rows, self.meters.confirmed
        return sum(
            since_us <= time_us < until_us and time_us not in there[asset]
            for asset in METERS
            for time_us in list(confirmed[asset])
        )

    async def recovered(self, limit_s: float = 90.0) -> float:
        """The seconds until it is live again."""
        try:
            return await self.until(self.live, "it did not become live again", limit_s)
        except Never as never:
            now = now_us()
            behind_s = (now - self.decided_us()) / 1e6
            missing = self.missing(now - ON_WAY_US, self.since_us)
            raise Never(f"{never}: {behind_s:.1f} s behind, {missing} rows missing") from None

    async def metrics(self, name: str) -> Samples:
        """The samples of a metric that the exporter shows; none while it does not answer."""
        return await asyncio.to_thread(self._metrics, name)

    def _metrics(self, name: str) -> Samples:
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, OSError):
            return []
        found = (one for one in _SAMPLE.finditer(text) if one["name"] == name)
        return [(dict(_LABEL.findall(one["labels"] or "")), float(one["value"])) for one in found]

    async def metric(self, name: str, **labels: str) -> float | None:
        """The sum of the samples with these labels."""
        values = [
            value for have, value in await self.metrics(name) if labels.items() <= have.items()
        ]
        return sum(values) if values else None


def _is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
