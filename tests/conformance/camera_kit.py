"""What every CameraSource must do, whatever it opens."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts.errors import SourceError
from edge.ports import CameraSource, Shot

PATIENCE_S = 30.0
SECRET = "p@ss/w:rd"
Shape = tuple[int, ...]


class Lab(Protocol):
    """A camera that works, and the power to break it."""

    @property
    def shape(self) -> Shape:
        """Of the images that it gives, no two of which are equal when they follow each other."""

    def source(self) -> CameraSource:
        """A source of it, which knows SECRET where it needs one."""

    def break_off(self) -> None:
        """The camera is gone, and cannot be opened."""

    def mend(self) -> None:
        """It is back."""


class Session:
    """A session in a thread of its own, since a source may block: what comes of it."""

    def __init__(self, source: CameraSource) -> None:
        self._found: queue.Queue[Shot | BaseException | None] = queue.Queue()
        self._source = source
        self._closed = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            shots: Any = self._source.shots()
            with closing(shots):
                for shot in shots:
                    self._found.put(shot)
                    if self._closed.is_set():
                        break
        except BaseException as error:  # noqa: BLE001 - the kit judges whatever it is
            self._found.put(error)
        else:
            self._found.put(None)

    def next(self) -> Shot | BaseException | None:
        """The next frame; the error that ended the session; None for its plain end."""
        try:
            return self._found.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise AssertionError("neither a frame nor a word that it is lost") from None

    def shots(self, count: int) -> list[Shot]:
        """The next frames."""
        found = [self.next() for _ in range(count)]
        bad = [one for one in found if one is None or isinstance(one, BaseException)]
        assert not bad, f"expected {count} frames, got {bad}"
        return found  # type: ignore[return-value]

    def end(self) -> BaseException | None:
        """How the session ends, after frames of whatever number."""
        while True:
            one = self.next()
            if one is None or isinstance(one, BaseException):
                return one

    def close(self) -> None:
        """Closes it after its next frame, and waits for that."""
        self._closed.set()
        self.end()


def gives_images(lab: Lab) -> None:
    session = Session(lab.source())
    shots = session.shots(3)
    for shot in shots:
        image = shot.image()
        assert image.shape == lab.shape
        assert image.dtype in (np.uint8, np.uint16)
        _same_reduced(shot, image)
        assert shot.luminance().shape[:2] == lab.shape[:2]
        assert shot.source_us is None or shot.source_us > 1_500_000_000_000_000
    session.close()


def _same_reduced(shot: Shot, image: NDArray[Any]) -> None:
    height, width = image.shape[0] // 2, image.shape[1] // 3
    reduced = shot.image((width, height))
    assert reduced.shape[0] >= height and reduced.shape[1] >= width
    assert reduced.dtype == image.dtype and reduced.ndim == image.ndim
    small = [cv2.resize(one, (8, 6), interpolation=cv2.INTER_AREA) for one in (image, reduced)]
    off = np.abs(small[0].astype(np.float64) - small[1])
    assert off.max() <= 0.03 * np.iinfo(image.dtype).max, "reduced, it shows something else"
    assert shot.image((10 * width, 10 * height)).shape == image.shape, "nothing is to be added"


def keeps_a_frame_while_others_come(lab: Lab) -> None:
    session = Session(lab.source())
    (first,) = session.shots(1)
    before, light = first.image().copy(), first.luminance().copy()
    later = session.shots(8)
    assert np.array_equal(first.image(), before), "a later frame has overwritten an earlier one"
    assert np.array_equal(first.luminance(), light)
    assert any(not np.array_equal(one.image(), before) for one in later), "always the same frame"
    session.close()


def a_loss_is_an_end_or_a_source_error(lab: Lab) -> None:
    session = Session(lab.source())
    session.shots(2)
    lab.break_off()
    _plain(session.end())


def what_is_gone_cannot_be_opened_and_is_back_later(lab: Lab) -> None:
    source = lab.source()
    lab.break_off()
    for _ in range(2):
        error = Session(source).end()
        assert error is not None, "what is not there must be an error"
        _plain(error)
    lab.mend()
    session = Session(source)
    session.shots(2)
    session.close()


def can_be_closed_and_opened_again(lab: Lab) -> None:
    source = lab.source()
    for _ in range(3):
        session = Session(source)
        session.shots(2)
        session.close()


def _plain(error: BaseException | None) -> None:
    """Only what a person may read."""
    if error is None:
        return
    assert isinstance(error, SourceError), f"a foreign exception: {type(error).__name__}"
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    text = " ".join(str(one) for one in chain)
    assert text and "\n" not in text
    for secret in (SECRET, "p%40ss", "w%3Ard"):
        assert secret not in text, "the error tells the password"


Check = Callable[[Lab], None]
CHECKS: tuple[Check, ...] = (
    gives_images,
    keeps_a_frame_while_others_come,
    a_loss_is_an_end_or_a_source_error,
    what_is_gone_cannot_be_opened_and_is_back_later,
    can_be_closed_and_opened_again,
)
