"""One run in the foreground: until it is over, or somebody asks for its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from vigia.supervisor import Supervisor

T = TypeVar("T")
INTERRUPTED = 130


class Session:
    """The first SIGINT or SIGTERM (or hang-up) sets `stop`; the second kills everything, calls
    `on_kill` and ends this process."""

    def __init__(self, on_kill: Callable[[], None] = lambda: None) -> None:
        self.stop = asyncio.Event()
        self.supervisor: Supervisor | None = None
        self._on_kill = on_kill
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signal)

    async def until_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` gives, or None when the end was asked for before. Raises what `work`
        raises, and PartFailed when a part cannot run."""
        task = asyncio.ensure_future(work)
        others: list[asyncio.Future[Any]] = [asyncio.ensure_future(self.stop.wait())]
        if self.supervisor is not None:
            others.append(asyncio.ensure_future(self.supervisor.failure()))
        try:
            done, _ = await asyncio.wait((task, *others), return_when=asyncio.FIRST_COMPLETED)
            if task in done:
                return task.result()
            for other in done:
                other.result()
            return None
        finally:
            for one in (task, *others):
                one.cancel()
            await asyncio.wait((task, *others))

    def _signal(self) -> None:
        if self.stop.is_set():
            if self.supervisor is not None:
                self.supervisor.kill()
            self._on_kill()
            os._exit(INTERRUPTED)
        self.stop.set()


def log_to(file: Path) -> None:
    """Sends what libraries say to a file: the terminal is the view's."""
    file.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=file,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    # While Kafka is away aiokafka says so many times a second.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
