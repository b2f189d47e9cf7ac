"""A running line and its screen, together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from vigia.feed import Looker, feed
from vigia.line import Line
from vigia.screen import Screen, sizes
from vigia.view import Frame


@asynccontextmanager
async def shown(
    line: Line, screen: Screen, looker: Looker, *, from_start: bool, frame: Callable[[], Frame]
) -> AsyncIterator[None]:
    """Inside the block `looker` is told what the topics say, `screen` shows it, and processes
    that do nothing are started again. What goes wrong with any of these ends the block."""
    prefix = line.layout.plant.kafka.prefix
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(feed(line.bootstrap, prefix, looker, from_start=from_start)),
                group.create_task(line.nurse()),
                group.create_task(line.keep_topics()),
                group.create_task(screen.run(frame)),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as group_error:
        raise _first(group_error) from None


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def frame_of(line: Line, title: str, note: str = "") -> Frame:
    """What the view shows beside the board."""
    sites = line.layout.plant.sites
    return Frame(
        title=title,
        metrics_url=line.layout.metrics_url,
        kafka=str(line.bootstrap),
        now_us=time.time_ns() // 1000,
        note=note,
        names={f"{site.id}/{a.id}": a.name for site in sites for a in site.assets if a.name},
        rss=sizes(line.supervisor),
        restarts=line.supervisor.restarts(),
    )
