"""A real RTSP server on the loopback interface, of GStreamer (Debian), as a process of its own.

The server is this file, run by Debian's own Python, which has the bindings.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

DEBIAN_PYTHON = "/usr/bin/python3"
_START_LIMIT_S = 20.0
_NEEDS = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst
Gst.init(None)
assert all(map(Gst.ElementFactory.find, (
    "appsrc", "h264parse", "h265parse", "rtph264pay", "rtph265pay", "rtpjpegpay")))
"""


@cache
def rtsp_is_here() -> bool:
    """Whether Debian's Python has what the server needs."""
    if not Path(DEBIAN_PYTHON).exists():
        return False
    tried = subprocess.run([DEBIAN_PYTHON, "-c", _NEEDS], capture_output=True, check=False)
    return tried.returncode == 0


class RtspServer:
    """Serves clips at `/NAME`, each looped for ever; started again it has the same port.

    A clip is a folder of encoded frames: `*.h264` or `*.h265` access units, or `*.jpg`. They come
    over `transport`, and by no other.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        user: str | None = None,
        password: str = "",
        environ: Mapping[str, str] | None = None,
        transport: str = "tcp",
    ) -> None:
        self.port = port
        self._transport = transport
        self._environ = {**os.environ, **(environ or {})}
        self._log = folder / "rtsp.log"
        self._login = ["--user", user, "--password", password] if user else []
        self._process: subprocess.Popen[bytes] | None = None
        self.clips: dict[str, tuple[Path, float]] = {}

    def url(self, name: str) -> str:
        """The address of a clip."""
        return f"rtsp://127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Returns once it is READY."""
        clips = [f"--clip=/{name}={clip}@{rate:g}" for name, (clip, rate) in self.clips.items()]
        argv = [DEBIAN_PYTHON, __file__, f"--port={self.port}", *self._login, *clips]
        argv.append(f"--transport={self._transport}")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, env=self._environ)
        limit = time.monotonic() + _START_LIMIT_S
        while "READY" not in self._log.read_text():
            if self._process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"the RTSP server did not start:\n{self._log.read_text()}")
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal: SIGSTOP freezes the cameras, SIGCONT thaws them."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; also of a frozen one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", required=True)
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--transport", default="tcp")
    parser.add_argument("--clip", action="append", default=[])
    return parser.parse_args()


def _serve() -> None:
    import gi  # type: ignore[import-not-found,unused-ignore]

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import (  # type: ignore[import-not-found,unused-ignore]
        GLib,
        Gst,
        GstRtspServer,
    )

    Gst.init(None)
    asked = _arguments()
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(asked.port)
    for one in asked.clip:
        mount, _, rest = one.partition("=")
        folder, _, rate = rest.rpartition("@")
        factory = _factory(Gst, GstRtspServer, Path(folder), float(rate))
        factory.set_protocols(getattr(_rtsp().RTSPLowerTrans, asked.transport.upper()))
        if asked.user:
            factory.add_role_from_structure(_may(Gst))
        server.get_mount_points().add_factory(mount, factory)
    if asked.user:
        server.set_auth(_auth(GstRtspServer, asked.user, asked.password))
    server.attach(None)
    print("READY", flush=True)
    GLib.MainLoop().run()


def _rtsp() -> Any:
    import gi

    gi.require_version("GstRtsp", "1.0")
    from gi.repository import GstRtsp

    return GstRtsp


def _may(gst: Any) -> Any:
    text = "user,media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
    return gst.Structure.new_from_string(text)


def _auth(rtsp: Any, user: str, password: str) -> Any:
    auth = rtsp.RTSPAuth()
    token = rtsp.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.set_supported_methods(_rtsp().RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    return auth


def _factory(gst: Any, rtsp: Any, folder: Path, rate: float) -> Any:
    """Every client shares one stream, whose frames are pushed in time."""
    files = sorted(folder.iterdir())
    units, coding = [file.read_bytes() for file in files], files[0].suffix.lstrip(".")
    if coding == "jpg":
        caps, payer = "image/jpeg", "jpegparse ! rtpjpegpay"
    else:
        caps = f"video/x-{coding},stream-format=byte-stream,alignment=au"
        payer = f"{coding}parse config-interval=-1 ! rtp{coding}pay config-interval=1"
    factory = rtsp.RTSPMediaFactory()
    factory.set_launch(
        f"( appsrc name=src is-live=true format=time do-timestamp=true caps={caps} "
        f"! {payer} name=pay0 pt=96 )"
    )
    factory.set_shared(True)
    factory.connect("media-configure", lambda _, media: _Feeder(gst, media, units, rate))
    return factory


class _Feeder:
    """Pushes the clip round and round into one media, by the clock."""

    def __init__(self, gst: Any, media: Any, units: list[bytes], rate: float) -> None:
        from gi.repository import GLib

        self._gst, self._units, self._at = gst, units, 0
        self._source = media.get_element().get_child_by_name("src")
        self._alive = True
        media.connect("unprepared", self._end)
        GLib.timeout_add(max(1, round(1000 / rate)), self._push)

    def _push(self) -> bool:
        if self._alive:
            unit = self._units[self._at % len(self._units)]
            self._at += 1
            self._source.emit("push-buffer", self._gst.Buffer.new_wrapped(unit))
        return self._alive

    def _end(self, _: Any) -> None:
        self._alive = False


if __name__ == "__main__":
    # Dies with the tests: the pipe of the parent is not watched, its being there is.
    import threading

    def _watch_parent(parent: int) -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()
    _serve()
