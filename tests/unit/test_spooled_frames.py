"""Frames of several cameras on their way to Kafka together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from contracts.errors import BrokerError, MessageTooLarge
from contracts.frames import FrameHeaders
from edge.adapters.keeper import Keeper, Ways
from edge.adapters.shelf import Shelf
from edge.adapters.spooled import SpooledFrames
from edge.core.backlog import Backlog, Posted
from edge.core.batches import Place
from edge.core.frame_chain import FrameParcel
from tests.conformance.memory_spool import MemoryKafka, MemorySpool

CAMERAS = ("s/a", "s/b", "s/c")


class Kafka(MemoryKafka):
    """Says how many frames each request had."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[int] = []
        self.refusal: BrokerError | None = None

    async def post(self, posted: Sequence[Posted]) -> None:
        if self.refusal is not None:
            raise self.refusal
        await super().post(posted)
        self.requests.append(len(posted))


class Nowhere:
    """A FrameLog that knows of no camera."""

    async def places(self, assets: Sequence[str]) -> dict[str, Place]:
        return {}

    async def write(self, parcel: FrameParcel) -> bool:
        raise AssertionError("nothing goes by here")


def parcel(asset: str, number: int, value: bytes = b"image") -> FrameParcel:
    headers = FrameHeaders(
        asset=asset,
        camera=asset[2:],
        time_us=number,
        kind="visible",
        clock="arrival",
        width=1,
        height=1,
        encoding="jpeg",
        sequence=0,
        wm_after_us=number + 1,
    )
    return FrameParcel(headers, value, 1)


async def frames_to(kafka: Kafka) -> SpooledFrames:
    keeper = Keeper(Shelf(Backlog(10**6), MemorySpool(), "frames"), Ways(kafka, kafka, 10**15))
    await keeper.open()
    keeper.expect(asyncio.ensure_future(kafka.places()))
    running = asyncio.create_task(keeper.run())
    while not keeper.goes_live("s/a"):
        await asyncio.sleep(0)
    running.cancel()
    return SpooledFrames(Nowhere(), keeper)


async def test_what_several_cameras_have_at_once_is_one_request() -> None:
    kafka = Kafka()
    frames = await frames_to(kafka)
    for number in range(2):
        kept = await asyncio.gather(*(frames.write(parcel(asset, number)) for asset in CAMERAS))
        assert kept == [False] * 3
    assert kafka.requests == [3, 3]
    for asset in CAMERAS:
        assert [one.position.sequence for one in kafka.of(asset)] == [0, 1]


async def test_one_that_is_too_large_takes_no_other_with_it() -> None:
    kafka = Kafka()
    kafka.too_large = b"huge"
    frames = await frames_to(kafka)
    values = (b"image", b"huge", b"image")
    writes = (frames.write(parcel(*one)) for one in zip(CAMERAS, (0, 0, 0), values, strict=True))
    one, large, other = await asyncio.gather(*writes, return_exceptions=True)
    assert (one, other) == (False, False) and isinstance(large, MessageTooLarge)
    assert len(kafka.log) == 2


async def test_what_will_never_be_taken_is_told_to_all() -> None:
    kafka = Kafka()
    frames = await frames_to(kafka)
    kafka.refusal = BrokerError("there is no topic")
    writes = (frames.write(parcel(asset, 0)) for asset in CAMERAS)
    told = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in told] == [BrokerError] * 3
    kafka.refusal = None
    assert await frames.write(parcel("s/a", 1)) is False
