"""Shows a running line: live on a terminal, as lines elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import psutil
from rich.console import Console
from rich.live import Live

from contracts.messages import AlarmState, Alert, DetectionBatch, Status
from contracts.texts import Language
from vigia.board import Board
from vigia.plain import EVERY_US, Changes, alert_line, state_line
from vigia.supervisor import Supervisor
from vigia.view import Frame, clock, render

_REFRESH_S = 0.5
_SAID = 4


class StatusHearer(Protocol):
    """Who else wants to know that a process is alive."""

    def on_status(self, status: Status) -> None:
        """A process told how it does."""


class Screen:
    """A feed's looker that shows what it is told. `frame` gives what stands around the board.

    While it is live, `say` writes into the picture; before and after, and without a terminal,
    it prints a line.
    """

    def __init__(
        self, console: Console, lang: Language, hearer: StatusHearer | None = None
    ) -> None:
        self.board = Board()
        self.hearer = hearer
        self._console = console
        self._lang = lang
        self._said: deque[str] = deque(maxlen=_SAID)
        self._fresh: list[Alert] = []
        self._live = False

    def on_status(self, status: Status) -> None:
        self.board.on_status(status)
        if self.hearer is not None:
            self.hearer.on_status(status)

    def on_detections(self, batch: DetectionBatch, timestamp_us: int) -> None:
        self.board.on_detections(batch)

    def on_alarm(self, state: AlarmState) -> None:
        self.board.on_alarm(state)

    def on_alert(self, alert: Alert, timestamp_us: int) -> None:
        # On a terminal the board is shown, and nobody would ever take them.
        if self.board.on_alert(alert) and not self._console.is_terminal:
            self._fresh.append(alert)

    def say(self, text: str) -> None:
        """Tells the person something that no topic tells."""
        if self._live:
            self._note(text)
        else:
            self.line(text)

    def warn(self, text: str) -> None:
        """Tells what is wrong; it stands in the picture even if that begins later."""
        self._note(text)
        if not self._live:
            self.line(text)

    def _note(self, text: str) -> None:
        at = clock(time.time_ns() // 1000)
        self._said.extend(f"{at} {line}" for line in text.splitlines())

    def line(self, text: str) -> None:
        """Prints one line as it is."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    async def run(self, frame: Callable[[], Frame]) -> None:
        """Shows until cancelled."""
        if not self._console.is_terminal:
            await self._lines(frame)
        with Live(console=self._console, screen=True, auto_refresh=False) as live:
            self._live = True
            try:
                while True:
                    now = replace(frame(), said=tuple(self._said))
                    size = (self._console.width, self._console.height)
                    live.update(render(self.board, now, self._lang, size), refresh=True)
                    await asyncio.sleep(_REFRESH_S)
            finally:
                self._live = False

    async def _lines(self, frame: Callable[[], Frame]) -> None:
        next_us, changes = 0, Changes()
        while True:
            now = frame()
            for text in changes.lines(self.board, self._lang, now.names):
                self.line(text)
            for alert in self._fresh:
                self.line(alert_line(alert, self._lang, now.names))
            self._fresh.clear()
            if now.now_us >= next_us and self.board.statuses:
                next_us = now.now_us + EVERY_US
                self.line(state_line(self.board, now.now_us, self._lang))
            await asyncio.sleep(_REFRESH_S)


def sizes(supervisor: Supervisor) -> dict[str, int]:
    """Resident bytes of every part now, and of this process."""
    supervisor.peak_rss()
    found = {"vigia": psutil.Process().memory_info().rss}
    for name, pid in supervisor.pids().items():
        try:
            found[name] = psutil.Process(pid).memory_info().rss
        except psutil.Error:
            continue
    return found
