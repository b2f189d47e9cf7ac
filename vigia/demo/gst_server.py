"""An RTSP server of GStreamer, as a program of its own: it is run by the system's Python, which has
GStreamer's bindings, and so imports nothing of ours.

It serves `/NAME` for every argument NAME on the loopback interface, with digest authentication
where a user is given, and reads access units from standard input: the stream's number (1 byte),
whether it is a key frame (1 byte), the length (4 bytes), the unit. Who connects gets what comes
from then on, from a key frame. It ends with its input.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO


class _Lane:
    """One stream, and the source that feeds whoever watches it now."""

    def __init__(self, gst: Any) -> None:
        self._gst = gst
        self._lock = threading.Lock()
        self._source: Any = None
        self._begun = False

    def configure(self, _factory: Any, media: Any) -> None:
        with self._lock:
            self._source = media.get_element().get_child_by_name("src")
            self._begun = False
        media.connect("unprepared", self._ended, self._source)

    def push(self, unit: bytes, *, key: bool) -> None:
        with self._lock:
            self._begun |= key
            if self._source is not None and self._begun:
                self._source.emit("push-buffer", self._gst.Buffer.new_wrapped(unit))

    def _ended(self, _media: Any, source: Any) -> None:
        with self._lock:
            if self._source is source:
                self._source = None


def _feed(lanes: list[_Lane], units: BinaryIO) -> None:
    while len(head := units.read(6)) == 6:
        unit = units.read(int.from_bytes(head[2:], "big"))
        lanes[head[0]].push(unit, key=bool(head[1]))
    os._exit(0)


def _factory(gst: Any, server: Any, transport: Any) -> Any:
    factory = server.RTSPMediaFactory()
    caps = "video/x-h264,stream-format=byte-stream,alignment=au"
    factory.set_launch(
        f"( appsrc name=src is-live=true format=time do-timestamp=true caps={caps} "
        "! h264parse config-interval=-1 ! rtph264pay config-interval=1 name=pay0 pt=96 )"
    )
    factory.set_shared(True)
    factory.set_protocols(transport.RTSPLowerTrans.TCP)
    # On a busy machine the clock that clients get from its reports was seen 1.5 s behind, for as
    # long as a session lasted. Without reports they take the time of arrival.
    factory.set_enable_rtcp(False)
    access = "media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
    factory.add_role_from_structure(gst.Structure.new_from_string(f"viewer,{access}"))
    return factory


def _auth(server: Any, transport: Any, user: str, password: str) -> Any:
    auth, token = server.RTSPAuth(), server.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.set_supported_methods(transport.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    return auth


def main() -> None:
    """Serves until its input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--password-file", required=True, type=Path)
    parser.add_argument("names", nargs="+")
    asked = parser.parse_args()
    import gi  # type: ignore[import-not-found,unused-ignore]

    for name in ("Gst", "GstRtsp", "GstRtspServer"):
        gi.require_version(name, "1.0")
    from gi.repository import (  # type: ignore[import-not-found,unused-ignore]
        GLib,
        Gst,
        GstRtsp,
        GstRtspServer,
    )

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(asked.port)
    password = asked.password_file.read_text(encoding="utf-8").strip()
    server.set_auth(_auth(GstRtspServer, GstRtsp, asked.user, password))
    lanes = [_Lane(Gst) for _ in asked.names]
    for name, lane in zip(asked.names, lanes, strict=True):
        factory = _factory(Gst, GstRtspServer, GstRtsp)
        factory.connect("media-configure", lane.configure)
        server.get_mount_points().add_factory(f"/{name}", factory)
    if not server.attach(None):
        sys.exit(f"RTSP server: port {asked.port} is taken")
    threading.Thread(target=_feed, args=(lanes, sys.stdin.buffer), daemon=True).start()
    print("READY", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
