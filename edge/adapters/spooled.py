"""The logs of an edge that has a spool: what is written is in Kafka, or on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from contracts.errors import MessageTooLarge
from contracts.readings import Quality, ReadingBatch, encode_rows
from edge.adapters.kafka import KafkaLog
from edge.adapters.keeper import Keeper
from edge.core.backlog import Note
from edge.core.batches import Place
from edge.core.frame_chain import FrameParcel
from edge.core.intake import Letter
from edge.ports import FrameLog

DISK_LANE = -1
GATHER_S = 0.01
_Waiting = tuple[Note, "asyncio.Future[bool]"]


class SpooledReadings:
    """A ReadingLog. Positions of batches are given anew, from what Kafka really has on: an edge
    that began without Kafka could not know them."""

    def __init__(self, log: KafkaLog, keeper: Keeper) -> None:
        self._log = log
        self._keeper = keeper

    async def places(self, assets: Sequence[str]) -> dict[str, Place]:
        """See ReadingLog."""
        return await self._log.places(assets)

    def lane(self, asset: str) -> int:
        """The asset's partition; but what will go to the disk holds up nothing else."""
        return self._log.lane(asset) if self._keeper.goes_live(asset) else DISK_LANE

    async def write(self, batches: Sequence[ReadingBatch]) -> frozenset[str]:
        """See ReadingLog."""
        return await self._keeper.write([_note(batch) for batch in batches])

    async def write_letters(self, letters: Sequence[Letter]) -> None:
        """See ReadingLog."""
        await self._keeper.write([self._log.note(letter) for letter in letters])


class SpooledFrames:
    """A FrameLog, whose positions are given anew in the same way. What several cameras have within
    GATHER_S is written together; one frame alone does not wait."""

    def __init__(self, log: FrameLog, keeper: Keeper) -> None:
        self._log = log
        self._keeper = keeper
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def places(self, assets: Sequence[str]) -> dict[str, Place]:
        """See FrameLog."""
        return await self._log.places(assets)

    async def write(self, parcel: FrameParcel) -> bool:
        """See FrameLog."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((_frame_note(parcel), done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        writing = self._writing
        await asyncio.wait((done, writing), return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            writing.result()
        return done.result()

    async def _write_all(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._waiting:
            next_s = clock() + GATHER_S
            some, self._waiting = self._waiting, []
            await self._write_some(some)
            await asyncio.sleep(max(0.0, next_s - clock()))

    async def _write_some(self, some: Sequence[_Waiting]) -> None:
        try:
            kept = await self._keeper.write([note for note, _ in some])
        except MessageTooLarge as error:
            if len(some) == 1:
                if not some[0][1].done():
                    some[0][1].set_exception(error)
                return
            for one in some:
                await self._write_some([one])
        else:
            for note, done in some:
                if not done.done():
                    done.set_result(note.asset in kept)


def _frame_note(parcel: FrameParcel) -> Note:
    headers = parcel.headers
    return Note(
        headers.asset,
        headers.wm_after_us,
        headers.time_us,
        headers.received_us,
        parcel.frames,
        parcel.value,
        headers.model_dump_json().encode(),
    )


def _note(batch: ReadingBatch) -> Note:
    position = batch.position
    # What was held or is missing never came.
    came = (batch.quality == Quality.GOOD) | (batch.quality == Quality.OUT_OF_RANGE)
    return Note(
        batch.asset,
        position.wm_after_us,
        batch.newest_us,
        position.received_us,
        int(came.sum()),
        encode_rows(batch),
    )
