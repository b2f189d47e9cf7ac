"""Every camera source passes the kit, and the kit finds what is broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.plant.cameras import Camera
from contracts.plant.sections import Secret
from edge.adapters.image_folder import FolderSource
from edge.adapters.rtsp import RtspSource, VideoSource
from edge.ports import CameraSource
from tests.clips import encode_h264, h264_clip, jpeg_clip, moving
from tests.conformance import camera_kit
from tests.conformance.camera_kit import CHECKS, SECRET, Check, Shape
from tests.conformance.memory_camera import (
    Foreign,
    Hanging,
    MemoryLab,
    MemorySource,
    Once,
    Overwriting,
    Still,
    Talkative,
)
from tests.processes.rtsp import RtspServer

EACH_CHECK = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
SHAPE: Shape = (240, 320, 3)


class RtspLab:
    """A real RTSP server that asks for a password."""

    shape = SHAPE

    def __init__(self, server: RtspServer, folder: Path) -> None:
        self._server = server
        self._password = folder / "password"
        self._password.write_text(f"{SECRET}\n")

    def source(self) -> CameraSource:
        password = Secret(file=str(self._password))
        camera = Camera(rtsp=self._server.url("cam"), username="cam", password=password)
        return RtspSource(camera)

    def break_off(self) -> None:
        self._server.kill()

    def mend(self) -> None:
        self._server.start()


class VideoLab:
    """A video file; it is gone when it has been moved, which nobody notices who has it open."""

    shape = SHAPE

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._video = encode_h264(list(moving(30)), fps=30, gop=15, bit_rate=500_000)
        self.mend()

    def source(self) -> CameraSource:
        return VideoSource(Camera(video="clip.mkv"), self._folder)

    def break_off(self) -> None:
        (self._folder / "clip.mkv").unlink()

    def mend(self) -> None:
        (self._folder / "clip.mkv").write_bytes(self._video)


class FolderLab:
    """A folder of JPEGs."""

    shape = SHAPE

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.mend()

    def source(self) -> CameraSource:
        return FolderSource(Camera(folder="in", rate=50), self._folder)

    def break_off(self) -> None:
        shutil.rmtree(self._folder / "in")

    def mend(self) -> None:
        jpeg_clip(self._folder / "in", moving(20))


@pytest.fixture
def rtsp_lab(rtsp: Callable[..., RtspServer], tmp_path: Path) -> Iterator[RtspLab]:
    server = rtsp(user="cam", password=SECRET)
    server.clips["cam"] = h264_clip(tmp_path / "clip", moving(30)), 15.0
    server.start()
    yield RtspLab(server, tmp_path)


@EACH_CHECK
def test_rtsp(check: Check, rtsp_lab: RtspLab) -> None:
    check(rtsp_lab)


@EACH_CHECK
def test_video(check: Check, tmp_path: Path) -> None:
    check(VideoLab(tmp_path))


@EACH_CHECK
def test_folder(check: Check, tmp_path: Path) -> None:
    check(FolderLab(tmp_path))


@EACH_CHECK
def test_memory(check: Check) -> None:
    check(MemoryLab(MemorySource))


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Overwriting, camera_kit.keeps_a_frame_while_others_come),
        (Still, camera_kit.keeps_a_frame_while_others_come),
        (Hanging, camera_kit.a_loss_is_an_end_or_a_source_error),
        (Talkative, camera_kit.what_is_gone_cannot_be_opened_and_is_back_later),
        (Foreign, camera_kit.what_is_gone_cannot_be_opened_and_is_back_later),
        (Once, camera_kit.can_be_closed_and_opened_again),
    ],
)
def test_the_kit_finds_what_is_broken(
    broken: type[MemorySource], check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_kit, "PATIENCE_S", 0.5)
    with pytest.raises(AssertionError):
        check(MemoryLab(broken))
