"""The demo's cameras as a process, watched by a client as the edge is one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
from av.error import FFmpegError, HTTPUnauthorizedError

from broker.loopback import free_port
from vigia.demo.rtsp import gstreamer_is_here
from vigia.demo.truth import Filmed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
SECONDS = 12
OPTIONS = {"rtsp_transport": "tcp", "probesize": "32", "analyzeduration": "0"}
GUARDED = pytest.mark.skipif(not gstreamer_is_here(), reason="no GStreamer for the system's Python")


@contextmanager
def filming(folder: Path, port: int, *, guarded: bool) -> Iterator[subprocess.Popen[bytes]]:
    """The process, told to begin at once."""
    (folder / "begin").write_text(str(time.time_ns() // 1000))
    (folder / "password").write_text("p@ss")
    command = [sys.executable, "-P", "-m", "vigia.demo.cameras", f"--port={port}", "--seed=1"]
    command += ["--events", f"--seconds={SECONDS}"]
    command += ["--begin", str(folder / "begin"), "--truth", str(folder / "truth")]
    if guarded:
        command += ["--user", "eye", "--password-file", str(folder / "password")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def watched(url: str, frames: int, limit_s: float = 20.0) -> tuple[int, int]:
    """The size of what a stream shows, once it has shown so many frames."""
    limit = time.monotonic() + limit_s
    while True:
        try:
            with av.open(url, options=OPTIONS, timeout=(5, 4)) as container:
                for number, frame in enumerate(container.decode(video=0), start=1):
                    if number == frames:
                        return frame.width, frame.height
        except HTTPUnauthorizedError:
            raise
        except FFmpegError:
            assert time.monotonic() < limit
            time.sleep(0.2)


@pytest.mark.parametrize("guarded", [pytest.param(True, marks=GUARDED), False])
def test_both_streams_are_served_until_the_film_is_over(tmp_path: Path, guarded: bool) -> None:
    port = free_port()
    login = "eye:p%40ss@" if guarded else ""
    with filming(tmp_path, port, guarded=guarded) as process:
        assert watched(f"rtsp://{login}127.0.0.1:{port}/belt", 5) == (256, 256)
        assert watched(f"rtsp://{login}127.0.0.1:{port}/tank", 5) == (320, 240)
        assert process.wait(30) == 0
    filmed = Filmed.model_validate_json((tmp_path / "truth").read_bytes())
    assert 0.5 < filmed.shown / (2 * 5 * SECONDS) <= 1


@GUARDED
def test_without_the_password_nothing_is_shown(tmp_path: Path) -> None:
    port = free_port()
    with (
        filming(tmp_path, port, guarded=True),
        pytest.raises(HTTPUnauthorizedError),
    ):
        watched(f"rtsp://eye:wrong@127.0.0.1:{port}/belt", 1)
