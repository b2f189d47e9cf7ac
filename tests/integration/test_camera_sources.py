"""What cameras send, over what they send it: real streams of GStreamer's, read as the edge does."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import SourceError
from contracts.plant.cameras import Camera
from edge.adapters.camera_probe import probe_camera
from edge.adapters.rtsp import DeviceSource, RtspSource
from tests.clips import h264_clip, h265_clip, jpeg_clip, moving
from tests.processes.rtsp import RtspServer

MakeRtsp = Callable[..., RtspServer]
CODECS = {"h264": h264_clip, "hevc": h265_clip, "mjpeg": jpeg_clip}
SIZE = (320, 240)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("codings")
    return {name: make(folder / name, moving(30)) for name, make in CODECS.items()}


@pytest.fixture
def serve(rtsp: MakeRtsp, clips: dict[str, Path]) -> Iterator[Callable[..., RtspServer]]:
    def start(**options: Any) -> RtspServer:
        server = rtsp(**options)
        for name, clip in clips.items():
            server.clips[name] = clip, 15.0
        server.start()
        return server

    yield start


def camera(server: RtspServer, codec: str, **more: Any) -> RtspSource:
    return RtspSource(Camera.model_validate({"rtsp": server.url(codec), **more}))


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_coding_comes_over_every_transport(
    serve: Callable[..., RtspServer], transport: str
) -> None:
    server = serve(transport=transport)
    for codec in CODECS:
        source = camera(server, codec, transport=transport)
        shots: Any = source.shots()
        images = [shot.image() for shot in islice(shots, 10)]
        shots.close()
        assert source.codec == codec
        assert {image.shape for image in images} == {(SIZE[1], SIZE[0], 3)}
        # A bright square moves over a dark scene, and what was coded is what is seen.
        assert all(image.max() > 190 and 60 < image.mean() < 100 for image in images)
        assert not (images[0] == images[-1]).all()


def test_a_transport_that_the_camera_does_not_speak_is_said(
    serve: Callable[..., RtspServer],
) -> None:
    server = serve(transport="tcp")
    with pytest.raises(SourceError) as told:
        next(iter(camera(server, "h264", transport="udp").shots()))
    assert "rtsp://" not in str(told.value)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_camera_that_dies_or_freezes_is_lost_over_udp_too(
    serve: Callable[..., RtspServer], number: signal.Signals
) -> None:
    server = serve(transport="udp")
    shots = camera(server, "h264", transport="udp").shots()
    next(shots)
    server.signal(number)
    with pytest.raises(SourceError):
        for _ in shots:
            pass


def test_a_password_is_asked_for_over_udp_too(
    serve: Callable[..., RtspServer], tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("p@ss/w:rd\n")
    server = serve(transport="udp", user="cam", password="p@ss/w:rd")
    login = {"username": "cam", "password": {"file": str(tmp_path / "password")}}
    next(camera(server, "h264", transport="udp", **login).shots())
    with pytest.raises(SourceError, match="401"):
        next(camera(server, "h264", transport="udp").shots())


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("/dev/video987", "/dev/video987: cannot be opened: No such file or directory"),
        ("/dev/null", "/dev/null: cannot be opened: Inappropriate ioctl for device"),
    ],
)
async def test_a_webcam_that_is_none_is_said(device: str, why: str) -> None:
    webcam = Camera(device=device)
    with pytest.raises(SourceError) as told:
        next(DeviceSource(webcam).shots())
    assert str(told.value) == why
    (found,) = await probe_camera("works/cam", webcam, DeviceSource(webcam), 1)
    assert (found.ok, found.where, found.text("en")) == (False, f"works/cam {device}", why)
