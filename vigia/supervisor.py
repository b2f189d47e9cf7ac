"""Keeps parts running, and ends them all."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from contracts.errors import VigiaError
from vigia.backoff import Backoff
from vigia.parts import Part

POLL_S = 0.2
TRIM_S = 10.0
PROVEN_S = 20.0
ROOM_PATIENCE_S = 2.6
BROKER_PATIENCE_S = 1.4


class PartFailed(VigiaError):
    """A part cannot run, and starting it again would not help."""


@dataclass(slots=True)
class _Kept:
    part: Part
    broker: bool
    backoff: Backoff = field(default_factory=Backoff)
    keeper: asyncio.Task[None] | None = None
    starting: asyncio.Future[None] | None = None
    proven: bool = False
    peak_rss: int = 0


class Supervisor:
    """Starts parts, starts again what ended, and stops all of them in at most five seconds:
    the rooms first, the brokers after them.

    Children die with this process too, however it ends (broker.tether).
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._kept: dict[str, _Kept] = {}
        self._stopping = False
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_start: Callable[[str], None] = lambda name: None

    async def start(self, part: Part, *, broker: bool = False, keep: bool = True) -> None:
        """Starts a part; with `keep` it is started again whenever it ends. Raises VigiaError
        when it cannot be started at all."""
        kept = self._kept[part.name] = _Kept(part, broker)
        await self._launch(kept)
        if keep:
            kept.keeper = asyncio.create_task(self._keep(kept))

    def end(self, name: str, why: str) -> None:
        """Kills an ill part; it is started again as if it had ended by itself."""
        self._say(f"{name} is stopped: {why}")
        _signal(self._kept[name].part, signal.SIGKILL)

    def tell(self, name: str) -> None:
        """Asks one part to end by itself (SIGTERM)."""
        _signal(self._kept[name].part, signal.SIGTERM)

    async def failure(self) -> None:
        """Returns never; raises PartFailed when a part cannot run."""
        await asyncio.shield(self._failure)

    def restarts(self) -> dict[str, int]:
        """How often each part ended and was started again."""
        return {name: kept.backoff.ends for name, kept in self._kept.items()}

    def pids(self) -> dict[str, int]:
        """The process ids of the parts that run."""
        found = {name: kept.part.pid for name, kept in self._kept.items()}
        return {name: pid for name, pid in found.items() if pid is not None}

    def peak_rss(self) -> dict[str, int]:
        """The largest resident size of each part so far, in bytes."""
        for name, pid in self.pids().items():
            with suppress(psutil.Error):
                now = psutil.Process(pid).memory_info().rss
                self._kept[name].peak_rss = max(self._kept[name].peak_rss, now)
        return {name: kept.peak_rss for name, kept in self._kept.items()}

    async def stop(self) -> None:
        """Ends every part: SIGTERM, and SIGKILL where that is not enough in time."""
        self._stopping = True
        for kept in self._kept.values():
            if kept.keeper is not None:
                kept.keeper.cancel()
        for broker, patience_s in ((False, ROOM_PATIENCE_S), (True, BROKER_PATIENCE_S)):
            mine = [kept for kept in self._kept.values() if kept.broker == broker]
            await asyncio.gather(*(_end(kept, patience_s) for kept in mine))

    def kill(self) -> None:
        """Ends every part at once, by force."""
        self._stopping = True
        for kept in self._kept.values():
            _signal(kept.part, signal.SIGKILL)

    async def _launch(self, kept: _Kept) -> None:
        # In a thread, and shielded: a start that is given up must still be waited for, or it
        # would leave a process behind.
        kept.starting = asyncio.ensure_future(asyncio.to_thread(kept.part.start))
        self.on_start(kept.part.name)
        await asyncio.shield(kept.starting)

    async def _keep(self, kept: _Kept) -> None:
        part, since, trimmed = kept.part, time.monotonic(), time.monotonic()
        while True:
            await asyncio.sleep(POLL_S)
            now = time.monotonic()
            if now - trimmed > TRIM_S:
                trimmed = now
                part.trim_log()
            if part.pid is not None:
                # What has worked once is not refused for good: the world changed, and may again.
                kept.proven |= now - since > PROVEN_S
            else:
                if part.hopeless and not kept.proven:
                    self._fail(PartFailed(f"{part.name} {part.last_words()}"))
                    return
                await self._again(kept, now - since)
                since = time.monotonic()

    async def _again(self, kept: _Kept, ran_s: float) -> None:
        part, words = kept.part, kept.part.last_words()
        while True:
            wait_s = kept.backoff.after(ran_s)
            self._say(f"{part.name} {words}\n{part.name} is started again in {wait_s:g} s")
            await asyncio.sleep(wait_s)
            try:
                await self._launch(kept)
            except VigiaError as error:
                words, ran_s = f"did not start: {error}", 0.0
            else:
                return

    def _fail(self, error: PartFailed) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)


async def _end(kept: _Kept, patience_s: float) -> None:
    limit = time.monotonic() + patience_s
    _signal(kept.part, signal.SIGTERM)
    while kept.part.pid is not None or (kept.starting and not kept.starting.done()):
        late = time.monotonic() > limit
        # A start under way has not yet made its process, or not yet seen it end.
        if late or (kept.starting and not kept.starting.done()):
            _signal(kept.part, signal.SIGKILL)
        await asyncio.sleep(0.02)
    if kept.starting is not None and not kept.starting.cancelled():
        kept.starting.exception()


def _signal(part: Part, number: signal.Signals) -> None:
    pid = part.pid
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
