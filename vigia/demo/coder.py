"""Pictures to H.264, as a camera sends it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av

from vigia.demo.belt import Picture
from vigia.demo.scenes import FPS

KEY_EVERY = FPS
"""Frames from one that can be decoded by itself to the next."""
# Of a fixed quantiser: one that follows the content refines a picture that stands still for ever,
# which no frozen camera does.
_QUANTISER = 18


class Coder:
    """One camera's encoder."""

    def __init__(self, width: int, height: int) -> None:
        coder: Any = av.CodecContext.create("libx264", "w")
        coder.width, coder.height, coder.pix_fmt = width, height, "yuv420p"
        coder.time_base, coder.framerate, coder.gop_size = (
            Fraction(1, FPS),
            Fraction(FPS),
            KEY_EVERY,
        )
        parameters = f"qp={_QUANTISER}:repeat-headers=1:annexb=1:scenecut=0:threads=1"
        coder.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "x264-params": parameters,
        }
        self._coder = coder
        self._frames = 0

    def encode(self, picture: Picture) -> tuple[bytes, bool]:
        """The access unit of the next picture, and whether it can be decoded by itself."""
        frame = av.VideoFrame.from_ndarray(picture, "bgr24")
        frame.pts = self._frames
        self._frames += 1
        packets = self._coder.encode(frame)
        return b"".join(bytes(one) for one in packets), any(one.is_keyframe for one in packets)
