"""The demo's RTSP servers, given pictures that are encoded already."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from contracts.errors import VigiaError

SYSTEM_PYTHON = Path("/usr/bin/python3")
_NEEDS = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert all(map(Gst.ElementFactory.find, ("appsrc", "h264parse", "rtph264pay")))
"""


class Server(Protocol):
    """Serves one stream for each name at rtsp://127.0.0.1:PORT/NAME."""

    def show(self, stream: int, unit: bytes, *, key: bool) -> None:
        """Sends the next access unit of a stream to whoever watches it. Raises VigiaError when
        the server has ended."""

    def close(self) -> None:
        """Ends it."""


def gstreamer_is_here() -> bool:
    """Whether the system's Python has what GStreamer's server needs."""
    if not SYSTEM_PYTHON.exists():
        return False
    tried = subprocess.run([SYSTEM_PYTHON, "-c", _NEEDS], capture_output=True, check=False)
    return tried.returncode == 0


class GstServer:
    """GStreamer's server in a process of its own; it wants a password (digest)."""

    def __init__(self, port: int, names: Sequence[str], user: str, password_file: Path) -> None:
        script = Path(__file__).with_name("gst_server.py")
        options = [f"--port={port}", f"--user={user}", f"--password-file={password_file}"]
        self._process = subprocess.Popen(
            [str(SYSTEM_PYTHON), str(script), *options, *names], stdin=subprocess.PIPE
        )

    def show(self, stream: int, unit: bytes, *, key: bool) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            pipe.write(bytes([stream, key]) + len(unit).to_bytes(4, "big") + unit)
            pipe.flush()
        except OSError as error:
            raise VigiaError("the RTSP server has ended") from error

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
