"""A spool and a Kafka in memory, which outlive the edges that use them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from contracts.errors import MessageTooLarge, SpoolError, SpoolLost
from edge.core.backlog import Entry, Note, Posted
from edge.core.batches import Place


class MemorySpool:
    """A Spool. Its `fault` is raised once it is set: by changes, or by all when all is lost."""

    def __init__(self) -> None:
        self.notes: dict[int, Note] = {}
        self.based: dict[str, int] = {}
        self.fault: SpoolError | None = None
        self.left = False

    async def bases(self) -> dict[str, int]:
        await self._step()
        return dict(self.based)

    async def heads(self, after: int, count: int) -> list[Entry]:
        await self._step()
        return [
            Entry(n.number, n.asset, n.units, n.size, n.received_us) for n in self._after(after)
        ][:count]

    async def read(self, after: int, most_bytes: int) -> list[Note]:
        await self._step()
        size, found = 0, []
        for note in self._after(after):
            if size >= most_bytes:
                break
            size += note.size
            found.append(note)
        return found

    async def change(
        self, add: Sequence[Note], remove: Sequence[int], bases: Mapping[str, int | None]
    ) -> None:
        await self._step()
        if self.fault is not None:
            raise self.fault
        for number in remove:
            self.notes.pop(number, None)
        self.notes |= {note.number: note for note in add}
        self.based |= {asset: base for asset, base in bases.items() if base is not None}
        for asset, base in bases.items():
            if base is None:
                self.based.pop(asset, None)
        # A crash now finds the disk changed, though nobody was told.
        await asyncio.sleep(0)

    async def shrink(self) -> None:
        await self._step()

    async def close(self) -> None:
        pass

    def leave(self) -> None:
        self.left = True

    def _after(self, after: int) -> list[Note]:
        return [note for number, note in sorted(self.notes.items()) if number > after]

    async def _step(self) -> None:
        await asyncio.sleep(0)
        if isinstance(self.fault, SpoolLost):
            self.notes, self.based = {}, {}
            raise self.fault


class MemoryKafka:
    """A Post. While its door is shut nothing is taken; each message is taken by itself."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.log: list[Posted] = []
        self.too_large = b""

    async def post(self, posted: Sequence[Posted]) -> None:
        if any(one.note.value == self.too_large for one in posted if self.too_large):
            raise MessageTooLarge("larger than the topic takes")
        for one in posted:
            await self.open.wait()
            self.log.append(one)
            await asyncio.sleep(0)

    async def places(self) -> dict[str, Place]:
        """Where the streams stand, once it answers."""
        await self.open.wait()
        return {one.note.asset: one.place for one in self.log}

    def of(self, asset: str) -> list[Posted]:
        return [one for one in self.log if one.note.asset == asset]
