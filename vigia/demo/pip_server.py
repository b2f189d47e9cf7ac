"""The RTSP server for a system without GStreamer: aio-rtsp-toolkit from pip, which plays files.

Here its files are live streams. It asks for no password.
"""

from __future__ import annotations

import asyncio
import queue
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aio_rtsp_toolkit.server import RtspServer
from aio_rtsp_toolkit.server_media import (
    MediaSource,
    MediaTrackInfo,
    profile_level_id_from_sps,
    to_base64,
)
from aio_rtsp_toolkit.server_session import RtspServerSession
from aio_rtsp_toolkit.server_session_types import QueuedMediaPacket

from broker.loopback import HOST
from contracts.errors import VigiaError
from vigia.demo.scenes import FPS

_SPS, _PPS = 7, 8
_WAIT_S = 0.2
_MOST_WAITING = 10 * FPS
_START = re.compile(rb"\x00?\x00\x00\x01")


@dataclass(slots=True)
class _Lane:
    """One stream: what says how it is to be decoded, and who watches it."""

    heads: dict[int, bytes] = field(default_factory=dict)
    watchers: set[queue.Queue[tuple[int, bytes, bool]]] = field(default_factory=set)
    frames: int = 0

    def push(self, unit: bytes, *, key: bool) -> None:
        parts = [one for one in _START.split(unit) if one]
        if key:
            self.heads |= {p[0] & 31: p for p in parts if p[0] & 31 in (_SPS, _PPS)}
        framed = b"".join(len(one).to_bytes(4, "big") + one for one in parts)
        for watcher in tuple(self.watchers):
            # Who does not keep up has lost the stream, as with a real camera.
            if watcher.qsize() < _MOST_WAITING:
                watcher.put((self.frames, framed, key))
        self.frames += 1

    def source(self, name: str) -> MediaSource:
        sps, pps = self.heads[_SPS], self.heads[_PPS]
        track = MediaTrackInfo(
            media_type="video",
            control="track1",
            codec_name="h264",
            payload_type=96,
            clock_rate=90_000,
            fmtp=f"packetization-mode=1; profile-level-id={profile_level_id_from_sps(sps)}; "
            f"sprop-parameter-sets={to_base64(sps)},{to_base64(pps)}",
            av_stream_index=0,
            nal_length_size=4,
            parameter_sets={"sps": sps, "pps": pps},
        )
        return MediaSource(file_path=Path(name), tracks=[track], session_name=name)


class _Session(RtspServerSession):  # type: ignore[misc]
    """One client. In place of a file's packets it gets the lane's, from a key frame on."""

    def _produce_container_packets(
        self, loop: Any, packets: Any, stop_event: threading.Event
    ) -> None:
        lane = self.server.lanes[self.media_source.file_path.name]
        (state,) = self.track_states.values()
        coming: queue.Queue[tuple[int, bytes, bool]] = queue.Queue()
        lane.watchers.add(coming)
        first = None
        while not (self.closed or stop_event.is_set() or self.server.ended.is_set()):
            try:
                number, data, key = coming.get(timeout=_WAIT_S)
            except queue.Empty:
                continue
            if first is None and key:
                first = number
            if first is not None:
                packet = QueuedMediaPacket(
                    kind="video",
                    track_control=state.info.control,
                    data=data,
                    media_time=(number - first) / FPS,
                    is_keyframe=key,
                )
                self._threadsafe_queue_put(loop, packets, packet, stop_event)
        lane.watchers.discard(coming)


class _Streams(RtspServer):  # type: ignore[misc]
    """The toolkit's server with lanes in place of a directory."""

    def __init__(self, port: int, names: Sequence[str]) -> None:
        super().__init__(".", HOST, port)
        self.lanes = {name: _Lane() for name in names}
        self.ended = threading.Event()

    async def _handle_client(self, sock: Any) -> None:
        await _Session(self, sock).run()

    def resolve_request_path(self, uri: str) -> Path:
        name = self._split_media_request_path(uri)[0].split("/")[0]
        if not getattr(self.lanes.get(name), "heads", None):
            raise FileNotFoundError(uri)
        return Path(name)

    def load_media_source(self, file_path: Path) -> MediaSource:
        return self.lanes[file_path.name].source(file_path.name)


class PipServer:
    """See vigia.demo.rtsp.Server. It works in a thread of this process."""

    def __init__(self, port: int, names: Sequence[str]) -> None:
        self._streams = _Streams(port, names)
        self._lanes = list(self._streams.lanes.values())
        self._thread = threading.Thread(target=self._serve, name="rtsp", daemon=True)
        self._thread.start()

    def show(self, stream: int, unit: bytes, *, key: bool) -> None:
        if not self._thread.is_alive():
            raise VigiaError("the RTSP server has ended")
        self._lanes[stream].push(unit, key=key)

    def close(self) -> None:
        # The thread itself ends with the process.
        self._streams.ended.set()

    def _serve(self) -> None:
        asyncio.run(self._streams.serve_forever())
