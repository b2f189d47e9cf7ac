"""The logs of an edge that has a spool: what is written is in Kafka, or on disk."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.readings import Quality, ReadingBatch, encode_rows
from edge.adapters.frame_kafka import KafkaFrames
from edge.adapters.kafka import KafkaLog
from edge.adapters.keeper import Keeper
from edge.core.backlog import Note
from edge.core.batches import Place
from edge.core.frame_chain import FrameParcel
from edge.core.intake import Letter

DISK_LANE = -1


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
    """A FrameLog, whose positions are given anew in the same way."""

    def __init__(self, log: KafkaFrames, keeper: Keeper) -> None:
        self._log = log
        self._keeper = keeper

    async def places(self, assets: Sequence[str]) -> dict[str, Place]:
        """See FrameLog."""
        return await self._log.places(assets)

    async def write(self, parcel: FrameParcel) -> bool:
        """See FrameLog."""
        headers = parcel.headers
        note = Note(
            headers.asset,
            headers.wm_after_us,
            headers.time_us,
            headers.received_us,
            parcel.frames,
            parcel.value,
            headers.model_dump_json().encode(),
        )
        return bool(await self._keeper.write([note]))


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
