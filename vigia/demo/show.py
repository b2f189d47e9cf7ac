"""One demo from start to summary."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.errors import VigiaError
from contracts.messages import Account
from vigia.board import Board
from vigia.demo.books import unbalanced
from vigia.demo.eyes import CAMERAS, Eyes
from vigia.demo.harvest import Harvest, count_topics, percentile_ms
from vigia.demo.report import Report, faults_of
from vigia.demo.summary import compare, raisings, rules_of
from vigia.demo.truth import Truth
from vigia.line import Line
from vigia.parts import RoomProcess
from vigia.screen import Screen
from vigia.session import Session
from vigia.shown import frame_of, shown
from vigia.view import Frame

PLANTER = "planter"
READY_S = 40.0
# Longer than two statuses of a process, shorter than the silence that the edge reports.
_STILL_S = 2.5
_DRAIN_S = 9.0
# Longer than one status takes to come; the whole stop may last five seconds.
_HURRY_S = 1.2


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for; `seconds` None is until Ctrl-C."""

    seed: int
    events: int
    seconds: int | None
    json_file: Path | None = None


@dataclass(slots=True)
class Show:
    """A line, its planter and cameras, and what is seen of them."""

    wish: Wish
    line: Line
    eyes: Eyes
    screen: Screen
    session: Session
    began_s: float = field(default_factory=time.monotonic)
    playing_s: float | None = None
    cameras: RoomProcess | None = None

    async def play(self) -> Report | None:
        """Starts, replays, drains. None when the end was asked for before anything was planted."""
        if await self.session.until_stopped(self._start()) is None:
            return None
        harvest = Harvest(self.screen)
        async with shown(self.line, self.screen, harvest, from_start=True, frame=self.frame):
            if await self.session.until_stopped(self._ready()) is None:
                return None
            self.eyes.begin(time.time_ns() // 1000)
            await self.line.supervisor.start(self._planter(), keep=False)
            self.playing_s = time.monotonic()
            await self.session.until_stopped(self._replayed())
            return await self._gather(harvest)

    async def _start(self) -> bool:
        self.screen.say(
            "starting Kafka, an MQTT broker, edge, worker, exporter and two cameras ..."
        )
        wish = self.wish
        self.cameras = self.eyes.part(wish.seed, events=wish.events > 0, seconds=wish.seconds)
        # First, so that they are there when the edge looks for them.
        await self.line.supervisor.start(self.cameras, keep=False)
        await self.line.start()
        return True

    async def _ready(self) -> bool:
        """Returns when every process has told that it is there, and the edge that it listens."""
        limit = time.monotonic() + READY_S
        while not _all_there(self.screen.board, self.line.processes()):
            if time.monotonic() > limit:
                raise VigiaError(f"not all parts were ready within {READY_S:.0f} s")
            await asyncio.sleep(0.1)
        took = ", ".join(f"{name} {took:.1f} s" for name, took in self.line.phases.items())
        self.screen.say(f"ready after {time.monotonic() - self.began_s:.1f} s ({took})")
        self.screen.say(f"metrics: {self.line.layout.metrics_url}")
        return True

    def _planter(self) -> RoomProcess:
        mqtt, wish = self.line.layout.own_mqtt, self.wish
        assert mqtt is not None
        command = ["vigia.demo.planter", "--mqtt", mqtt.address, "--truth", str(self._truth_file)]
        command += ["--seed", str(wish.seed), "--events", str(wish.events)]
        if wish.seconds is not None:
            command += ["--seconds", str(wish.seconds)]
        return RoomProcess(PLANTER, command, self.line.layout.folder / "logs" / "planter.log")

    async def _replayed(self) -> bool:
        while {PLANTER, CAMERAS} & self.line.supervisor.pids().keys():
            await asyncio.sleep(0.1)
        return True

    async def _gather(self, harvest: Harvest) -> Report:
        """The summary, once all that was published has gone through the line."""
        hurried = self.session.stop.is_set()
        for name in (PLANTER, CAMERAS):
            self.line.supervisor.tell(name)
        if hurried:
            await _within(_HURRY_S, self._replayed())
            await asyncio.sleep(_HURRY_S)
        else:
            await _within(_DRAIN_S, self._still())
        truth = self._truth()
        accounts = {"planter.publish": truth.account, **self.screen.board.accounts()}
        books = [f"{s}: {a.missing} {a.unit}s" for s, a in accounts.items() if a.missing]
        if not hurried:
            plant = self.line.layout.plant
            lies = await count_topics(
                self.line.bootstrap, plant.kafka.prefix, plant.cameras(), harvest.detections
            )
            books = unbalanced(accounts, lies)
        return self._report(truth, harvest, accounts, books)

    def _report(
        self, truth: Truth, harvest: Harvest, accounts: dict[str, Account], books: list[str]
    ) -> Report:
        raised = raisings(harvest.alerts)
        findings = compare(truth, raised, rules_of(self.line.layout.plant))
        taken = {stage: account.taken_in for stage, account in accounts.items()}
        return Report(
            truth=truth,
            findings=findings,
            raised=raised,
            accounts=accounts,
            readings_in=taken.get("edge.rows", 0),
            frames_in=taken.get("edge.frames", 0),
            detections=harvest.detections,
            p50_ms=percentile_ms(harvest.latencies_us, 0.5),
            p99_ms=percentile_ms(harvest.latencies_us, 0.99),
            rss=self.line.supervisor.peak_rss(),
            faults=[*faults_of(findings, books), *self._restarts()],
        )

    def _restarts(self) -> list[str]:
        ends = self.line.supervisor.restarts()
        found = [f"{name} ended {n} times" for name, n in ends.items() if n]
        if self.cameras is not None and self.cameras.exit_code:
            found.append(f"{CAMERAS} {self.cameras.last_words()}")
        return found

    def _truth(self) -> Truth:
        try:
            planted = Truth.model_validate_json(self._truth_file.read_bytes())
        except OSError as error:
            raise VigiaError("the planter left no account of what it did") from error
        return planted.beside(self.eyes.filmed())

    @property
    def _truth_file(self) -> Path:
        return self.line.layout.folder / "truth.json"

    async def _still(self) -> None:
        """Returns when nothing has moved for _STILL_S."""
        last, since = self._figures(), time.monotonic()
        while time.monotonic() - since < _STILL_S:
            await asyncio.sleep(0.1)
            now = self._figures()
            if now != last:
                last, since = now, time.monotonic()

    def _figures(self) -> dict[str, tuple[int, int, int]]:
        accounts = self.screen.board.accounts()
        return {
            stage: (account.taken_in, account.gone_out, account.held)
            for stage, account in accounts.items()
            if not stage.startswith("exporters.")
        }

    def frame(self) -> Frame:
        """What the view shows beside the board now."""
        site = self.line.layout.plant.sites[0]
        return frame_of(self.line, f"{site.name}, seed {self.wish.seed}", self._clock())

    def _clock(self) -> str:
        if self.playing_s is None:
            return ""
        played = time.monotonic() - self.playing_s
        whole = self.wish.seconds
        return f"{played:.0f} s" if whole is None else f"{min(played, whole):.0f} of {whole} s"


def _all_there(board: Board, processes: list[str]) -> bool:
    statuses = board.statuses
    return all(name in statuses for name in processes) and not any(
        status.notes for name, status in statuses.items() if name.startswith("edge/")
    )


async def _within(seconds: float, work: Any) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        return


def write_json(file: Path, report: Report, say: Callable[[str], None]) -> None:
    """DEMO_JSON."""
    file.write_text(json.dumps(report.json(), indent=1) + "\n", encoding="utf-8")
    say(f"written: {file}")
