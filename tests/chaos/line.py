"""The log and the workers of one run."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from broker.lag import group_lag
from broker.producer import Producer
from broker.reader import read
from broker.tether import spawn
from broker.topics import TopicSpec, create_topics
from contracts.messages import AlarmState, Alert, Detection, DetectionBatch, Status, decode_json
from contracts.partitions import partition_of
from contracts.readings import ReadingBatch, encode
from contracts.record import Outgoing
from contracts.topics import FRAMES, READINGS, TOPICS, topic_name
from tests.chaos.tanks import FrameMessage

STUCK_S = 60.0


@dataclass
class Line:
    """Topics of one prefix, and workers on them."""

    bootstrap: str
    prefix: str
    partitions: int
    plant: Path
    log: Sequence[ReadingBatch | FrameMessage]
    written: int = 0
    next_batch: int = 0
    statuses: dict[str, Status] = field(default_factory=dict)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: int = 0
    options: tuple[str, ...] = ()

    async def create(self) -> None:
        specs = [TopicSpec(topic_name(t, self.prefix), self.partitions, t.config()) for t in TOPICS]
        await create_topics(self.bootstrap, specs)

    async def publish(self, to_row: float = float("inf"), ahead_rows: int | None = None) -> None:
        """Writes the log up to `to_row`, at most `ahead_rows` rows ahead of what is committed."""
        producer = Producer(self.bootstrap, client_id="chaos-input")
        await producer.start()
        while self.written < to_row and self.next_batch < len(self.log):
            part = self.log[self.next_batch : self.next_batch + 50]
            await producer.send_all([self._outgoing(batch) for batch in part])
            self.written += sum(len(batch.times_us) for batch in part)
            self.next_batch += len(part)
            while ahead_rows is not None and await self.uncommitted_rows() > ahead_rows:
                self.check()
                await asyncio.sleep(0.1)
        await producer.stop()

    def _outgoing(self, batch: ReadingBatch | FrameMessage) -> Outgoing:
        partition, key = partition_of(batch.asset, self.partitions), batch.asset.encode()
        if isinstance(batch, FrameMessage):
            topic = topic_name(FRAMES, self.prefix)
            return Outgoing(topic, key, batch.value, batch.headers, partition)
        value, headers = encode(batch, source="edge/chaos")
        return Outgoing(topic_name(READINGS, self.prefix), key, value, headers, partition)

    async def uncommitted_rows(self) -> float:
        """About how many rows are written and not committed."""
        return await self.lag("readings", "frames") * self.written / max(self.next_batch, 1)

    async def lag(self, *topics: str) -> int:
        names = [f"{self.prefix}.{name}" for name in topics]
        return sum(p.lag for p in await group_lag(self.bootstrap, f"{self.prefix}-stream", names))

    def start(self, name: str) -> None:
        self.started += 1
        output = self.plant.parent / f"{self.prefix}-{self.started}-{name}.log"
        argv = [sys.executable, "-m", "stream", "worker", "--plant", str(self.plant)]
        argv += ["--kafka", self.bootstrap, "--instance", f"{name}-{self.started}"]
        argv += self.options
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with output.open("wb") as file:
            self.workers[name] = spawn(argv, output=file, env=environment)

    def kill(self, name: str) -> None:
        worker = self.workers.pop(name)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()

    def leave(self, name: str) -> None:
        worker = self.workers.pop(name)
        worker.terminate()
        try:
            worker.wait(20)
        except subprocess.TimeoutExpired:
            worker.kill()

    def check(self) -> None:
        """A worker that ended by itself is started again, as its supervisor would."""
        for name, worker in list(self.workers.items()):
            if worker.poll() is not None:
                del self.workers[name]
                self.start(name)

    def close(self) -> None:
        for name in list(self.workers):
            self.leave(name)

    async def follow_status(self) -> None:
        """Keeps the last status of every worker."""
        async for record in read(self.bootstrap, f"{self.prefix}.status"):
            status = decode_json(Status, record.value)
            self.statuses[status.process] = status

    async def begun(self) -> None:
        """Returns once a worker has told of itself: it reads."""
        async for _ in read(self.bootstrap, f"{self.prefix}.status"):
            return

    async def drained(self) -> None:
        """Returns once everything is read, decided and committed."""
        least, since = None, time.monotonic()
        while lag := await self.lag("frames", "readings", "aggregates", "detections"):
            if least is None or lag < least:
                least, since = lag, time.monotonic()
            if time.monotonic() - since > STUCK_S:
                raise SystemExit(f"{self.prefix}: {lag} messages are left, and get no fewer")
            self.check()
            await asyncio.sleep(0.5)


@dataclass
class Outcome:
    """What a run decided: effective detections and alarms, and what was decided twice."""

    detections: dict[str, Detection] = field(default_factory=dict)
    conflicts: int = 0
    repeats: int = 0
    alerts: dict[str, Alert] = field(default_factory=dict)
    alarms: dict[str, AlarmState] = field(default_factory=dict)

    def add(self, one: Detection) -> None:
        known = self.detections.setdefault(one.id, one)
        if known is not one:
            self.repeats += 1
            self.conflicts += not same(known, one)


def same(a: Detection, b: Detection) -> bool:
    """The same decision, scores within 1e-5."""
    if (a.verdict, a.reason, a.start_us, a.end_us) != (b.verdict, b.reason, b.start_us, b.end_us):
        return False
    if a.score is None or b.score is None:
        return a.score is b.score
    return abs(a.score - b.score) <= 1e-5


async def outcome(line: Line) -> Outcome:
    """Everything that is on the topics now."""
    found = Outcome()
    async for record in read(line.bootstrap, f"{line.prefix}.detections", until_end=True):
        for one in decode_json(DetectionBatch, record.value).items:
            found.add(one)
    async for record in read(line.bootstrap, f"{line.prefix}.alerts", until_end=True):
        alert = decode_json(Alert, record.value)
        known = found.alerts.setdefault(alert.id, alert)
        found.conflicts += not same_alert(known, alert)
    async for record in read(line.bootstrap, f"{line.prefix}.alarms", until_end=True):
        state = decode_json(AlarmState, record.value)
        known_state = found.alarms.get(state.alarm)
        if known_state is None or state.applied_us >= known_state.applied_us:
            found.alarms[state.alarm] = state
    return found


_FLOATS = {"score", "peak", "threshold", "evidence", "plant"}


def same_alert(a: Alert, b: Alert, but: frozenset[str] = frozenset()) -> bool:
    """The same transition, numbers aside, and what else is not to be compared."""
    return a.model_dump(exclude=_FLOATS | but) == b.model_dump(exclude=_FLOATS | but)


def same_alarms(a: Outcome, b: Outcome, but: frozenset[str] = frozenset()) -> bool:
    """The same alerts and the same present state of every alarm."""
    if a.alerts.keys() != b.alerts.keys() or a.alarms.keys() != b.alarms.keys():
        return False
    alerts = all(same_alert(alert, b.alerts[key], but) for key, alert in a.alerts.items())
    skip = _FLOATS | but
    states = (
        (state.model_dump(exclude=skip), b.alarms[key].model_dump(exclude=skip))
        for key, state in a.alarms.items()
    )
    return alerts and all(x == y for x, y in states)


def equal(reference: Outcome, chaos: Outcome) -> bool:
    """The same ids, decisions and scores."""
    if reference.detections.keys() != chaos.detections.keys():
        return False
    return all(same(one, chaos.detections[key]) for key, one in reference.detections.items())


def open_windows(statuses: Sequence[Status]) -> int:
    """Windows that were open by these statuses."""
    return sum(s.account["stream.windows"].held for s in statuses if "stream.windows" in s.account)
