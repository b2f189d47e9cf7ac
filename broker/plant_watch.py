"""Takes up another plant file or model package while a process runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import click

from broker.plant_disk import Found
from broker.plant_kept import Begun
from contracts.errors import ConfigError, VigiaError
from contracts.messages import PlantUse
from contracts.plant import Plant
from contracts.plant.watch import Watch, fixed_changes
from contracts.texts import NOTES

LOOK_S = 2.0
look_option = click.option(
    "--look",
    default=LOOK_S,
    show_default=True,
    type=click.FloatRange(min=0.05),
    help="seconds between looks at the plant file on disk, to take up another one",
)
_NOTE_LENGTH = 300
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class PlantWatcher(Generic[T]):
    """Looks every few seconds at the disk, for a process that has `begun` by what was there. What
    is new is built by `build` in a thread (it raises VigiaError when it refuses), and then given to
    `take`, which returns when it is in use and raises what ends the process.

    Polling, and not the kernel's word of changes: that comes neither from network file systems nor
    through the links by which containers get their configuration.
    """

    begun: Begun
    build: Callable[[Plant, Found], T]
    take: Callable[[T], Awaitable[None]]
    every_s: float = LOOK_S
    watch: Watch = field(init=False)
    plant: Plant = field(init=False)
    """The one in use."""

    def __post_init__(self) -> None:
        self.watch = Watch(self.begun.found.fingerprint)
        self.plant = self.begun.plant

    async def run(self) -> None:
        """Looks for ever. Raises what `take` raises."""
        await asyncio.to_thread(self.begun.keep, self.begun.found)
        while True:
            await asyncio.sleep(self.every_s)
            await self.look()

    async def look(self) -> None:
        """One look."""
        found = await asyncio.to_thread(self.begun.disk.look)
        if not self.watch.look(found.fingerprint):
            return
        try:
            plant, made = await asyncio.to_thread(self._built, found)
        except VigiaError as error:
            self.watch.refuse(found.fingerprint, str(error))
            _log.error("refused, the old one stays in use: %s", error)
            return
        again = await asyncio.to_thread(self.begun.disk.look)
        if again.fingerprint != found.fingerprint:
            # What was built may be of two minds; the next looks will tell.
            self.watch.look(again.fingerprint)
            return
        _log.info("taking up %s: plant %s", found.name, plant.hash)
        await self.take(made)
        self.plant = plant
        self.watch.take(found.fingerprint)
        await asyncio.to_thread(self.begun.keep, found)
        _log.info("taken up: plant %s", plant.hash)

    def _built(self, found: Found) -> tuple[Plant, T]:
        plant = found.plant()
        if changes := fixed_changes(self.plant, plant):
            raise ConfigError("\n".join(f"{found.name}: {change}" for change in changes))
        return plant, self.build(plant, found)

    def use(self) -> PlantUse:
        """What a Status says of it."""
        return self.watch.use(self.plant.hash)

    def notes(self) -> tuple[str, ...]:
        """What a Status notes: why what is on disk is not in use."""
        if not self.watch.why:
            return ()
        first, *more = self.watch.why.splitlines()
        rest = f" (+{len(more)})" if more else ""
        return (f"{NOTES['plant-refused']['en']}: {first[:_NOTE_LENGTH]}{rest}",)
