"""The cameras on an event loop, with sources and a log in memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from contracts.errors import BrokerError, MessageTooLarge, SourceError
from contracts.messages import Account, SourceHealth
from contracts.plant.cameras import Camera
from edge.adapters.camera_agent import CameraAgent
from edge.adapters.sight_files import SightFiles
from edge.core.backlog import Backlog
from edge.core.batches import Place
from edge.core.frame_chain import FrameParcel
from edge.core.framing import Picture
from edge.core.scenes import View
from edge.ports import CameraSource, Unauthorised
from tests.conformance.memory_camera import MemoryCamera, MemoryShot, MemorySource


def develop(image: Any, camera: Camera, seen: View) -> Picture | None:
    """No encoder: the pixels as they are. One that is too large is one of a row."""
    if len(image) == 1:
        return None
    return Picture(image.tobytes(), image.shape[1], image.shape[0], "jpeg", seen)


class MemoryLog:
    """A FrameLog that takes frames while its door is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.parcels: list[FrameParcel] = []
        self.refusal: BrokerError | None = None

    async def places(self, assets: Sequence[str]) -> dict[str, Place]:
        return {}

    async def write(self, parcel: FrameParcel) -> bool:
        await self.open.wait()
        if self.refusal is not None:
            raise self.refusal
        self.parcels.append(parcel)
        return False

    def of(self, asset: str) -> list[FrameParcel]:
        return [one for one in self.parcels if one.headers.asset == asset]


class Rig:
    """An agent of some cameras, and its world."""

    def __init__(self, kinds: dict[str, type[MemorySource]], **settings: Any) -> None:
        self.log = MemoryLog()
        self.worlds = {name: MemoryCamera() for name in kinds}
        made = {
            name: Camera.model_validate({"rtsp": f"rtsp://{name}/", "rate": 60, **settings})
            for name in kinds
        }

        def source_of(camera: Camera) -> CameraSource:
            name = (camera.rtsp or "").split("/")[2]
            return kinds[name](self.worlds[name])

        cameras = {f"s/{name}": camera for name, camera in made.items()}
        files = SightFiles(None)
        self.agent = CameraAgent(cameras, {}, self.log, source_of, develop, Backlog(0), files)

    @property
    def account(self) -> Account:
        return self.agent.figures().account["edge.frames"]

    def health(self, name: str) -> SourceHealth:
        return next(one for one in self.agent.figures().sources if one.asset == f"s/{name}")

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running(
    kinds: dict[str, type[MemorySource]] | None = None, **settings: Any
) -> AsyncIterator[Rig]:
    rig = Rig(kinds or {"a": MemorySource}, **settings)
    task = asyncio.create_task(rig.agent.run())
    try:
        yield rig
    finally:
        for world in rig.worlds.values():
            world.gone = True
            world.stuck.clear()
        task.cancel()
        await asyncio.wait([task])


async def test_frames_go_to_the_log_and_are_accounted_for() -> None:
    async with running() as rig:
        await rig.until(lambda: len(rig.log.parcels) >= 10)
        await rig.agent.drain(5.0)
        account = rig.account
        assert (account.held, account.missing) == (0, 0)
        assert account.gone_out == len(rig.log.parcels)
        assert [one.headers.sequence for one in rig.log.parcels] == list(range(account.gone_out))
        assert rig.agent.figures().latencies["edge.frame-to-kafka"].count == account.gone_out


async def test_a_camera_that_hangs_is_said_and_holds_up_no_other() -> None:
    async with running({"a": MemorySource, "b": MemorySource}, idle="500ms") as rig:
        await rig.until(lambda: bool(rig.log.of("s/a")) and bool(rig.log.of("s/b")))
        rig.worlds["a"].stuck.set()
        await rig.until(lambda: rig.health("a").state == "silent")
        await rig.until(lambda: rig.log.of("s/a")[-1].headers.quality == "missing")
        assert rig.health("b").state == "ok"
        rig.worlds["a"].stuck.clear()
        await rig.until(lambda: rig.health("a").state == "ok")


async def test_a_lost_camera_is_opened_again() -> None:
    async with running() as rig:
        await rig.until(lambda: bool(rig.log.parcels))
        rig.worlds["a"].gone = True
        await rig.until(lambda: rig.health("a").state == "lost")
        rig.worlds["a"].gone = False
        await rig.until(lambda: rig.health("a").state == "ok")


async def test_a_refused_password_is_a_state_of_its_own() -> None:
    async with running() as rig:
        rig.worlds["a"].refusal = Unauthorised("401")
        await rig.until(lambda: rig.health("a").state == "unauthorised")


class Faulty(MemorySource):
    """Raises once what no source may raise."""

    broken = True

    def shots(self) -> Iterator[MemoryShot]:
        if self.broken:
            self.broken = False
            raise RuntimeError("nobody foresaw this")
        yield from super().shots()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_thread_that_ended_is_started_again() -> None:
    async with running({"a": Faulty}) as rig:
        await rig.until(lambda: bool(rig.log.parcels))


class Spoilt(MemorySource):
    """Every other image cannot be decoded, or is too large."""

    def shots(self) -> Iterator[MemoryShot]:
        for number, shot in enumerate(super().shots()):
            if number % 3 == 1:
                shot.pixels = shot.pixels[:1]
            yield Broken(shot.pixels) if number % 3 == 2 else shot


class Broken(MemoryShot):
    """Cannot be decoded."""

    def image(self, enough: tuple[int, int] | None = None) -> Any:
        raise SourceError("a broken jpeg")


async def test_images_that_cannot_be_used_are_counted() -> None:
    async with running({"a": Spoilt}) as rig:
        await rig.until(lambda: {"too-large", "undecodable"} <= set(rig.account.dropped))
        await rig.until(lambda: len(rig.log.parcels) >= 3)
        assert rig.account.missing == 0


async def test_while_the_log_is_shut_the_newest_frames_wait() -> None:
    async with running() as rig:
        rig.log.open.clear()
        await rig.until(lambda: rig.account.dropped.get("buffer-full", 0) > 5)
        assert rig.account.missing == 0
        rig.log.open.set()
        await rig.until(lambda: len(rig.log.parcels) > 20)
        times = [one.headers.time_us for one in rig.log.parcels]
        assert times == sorted(set(times))


async def test_what_is_too_large_for_the_topic_is_dropped_and_the_rest_goes_on() -> None:
    async with running() as rig:
        rig.log.refusal = MessageTooLarge("the topic takes less")
        await rig.until(lambda: rig.account.dropped.get("refused", 0) > 2)
        rig.log.refusal = None
        await rig.until(lambda: len(rig.log.parcels) > 2)
        assert [one.headers.sequence for one in rig.log.parcels[:2]] == [0, 1]


def test_a_plant_without_cameras_loads_no_video_library() -> None:
    probe = "import sys, edge.__main__; sys.exit(bool({'av', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
