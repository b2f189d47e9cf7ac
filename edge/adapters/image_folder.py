"""A folder of images in a camera's place."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from contracts.errors import SourceError
from contracts.plant.cameras import Camera
from edge.adapters.images import read_image

MAX_FILES = 100_000
_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
_LOOK_S = 0.5
_SETTLED_S = 0.5


class FileShot:
    """An image file, read once."""

    source_us = None

    def __init__(self, file: Path) -> None:
        self._file = file
        self._image: NDArray[Any] | None = None

    def image(self, enough: tuple[int, int] | None = None) -> NDArray[Any]:
        """Its pixels, all of them. Raises SourceError."""
        if self._image is None:
            self._image = read_image(self._file)
        return self._image

    def luminance(self) -> NDArray[Any]:
        """Its pixels. Raises SourceError."""
        return self.image()


class FolderSource:
    """The images of a folder in the order of their names, `rate` a second; then it stays, and
    takes new ones as they come. A file is taken once, when it has not changed for a moment: one
    that is being written must not be read by half. After a restart of the edge all are new.
    """

    ends = False

    def __init__(self, camera: Camera, folder: Path) -> None:
        self._folder = folder / (camera.folder or "")
        self._every_s = 1 / camera.rate
        self._taken: set[str] = set()
        self.codec = ""

    def shots(self) -> Iterator[FileShot]:
        """Goes on until the folder cannot be read. Raises SourceError."""
        while True:
            names = self._new_names()
            for name in names:
                self._taken.add(name)
                self.codec = name.rpartition(".")[2].lower()
                begun_s = time.monotonic()
                yield FileShot(self._folder / name)
                time.sleep(max(0.0, begun_s + self._every_s - time.monotonic()))
            if not names:
                time.sleep(_LOOK_S)

    def _new_names(self) -> list[str]:
        settled_s = time.time() - _SETTLED_S
        found, there = [], set()
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if not entry.name.lower().endswith(_SUFFIXES) or not entry.is_file():
                        continue
                    there.add(entry.name)
                    if len(there) > MAX_FILES:
                        raise SourceError(f"more than {MAX_FILES} images in {self._folder}")
                    # The time of the last change, which no copying tool can set.
                    if entry.name not in self._taken and entry.stat().st_ctime <= settled_s:
                        found.append(entry.name)
        except OSError as error:
            raise SourceError(f"folder {self._folder}: {error.strerror}") from None
        self._taken &= there
        return sorted(found)
