"""What is known of cameras' normal views, in a file each, so that a restart does not forget it."""

from __future__ import annotations

import logging
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from edge.core.sight import Memory

_SPOILT = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    SyntaxError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
_log = logging.getLogger(__name__)


class SightFiles:
    """Files in `folder`, named after the assets; without a folder nothing is kept. A file that
    cannot be written or read costs what it holds, and is said."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, asset: str) -> Memory:
        """What was saved; nothing where that is nothing, or no longer readable."""
        file = self._file(asset)
        if file is None or not file.exists():
            return {}
        try:
            # Opened here: numpy would not close what it cannot read.
            with file.open("rb") as data, np.load(data, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except _SPOILT as error:
            _log.warning("%s: %s: the view is learned anew", file, error)
            return {}

    def save(self, asset: str, memory: Memory) -> None:
        """Keeps `memory`, in place of what was kept."""
        file = self._file(asset)
        if file is None:
            return
        new = file.with_suffix(".new")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as out:
                np.savez_compressed(out, allow_pickle=False, **memory)
                out.flush()
                os.fsync(out.fileno())
            new.replace(file)
        except OSError as error:
            _log.warning("%s: %s: the view is learned anew after a restart", file, error.strerror)

    def _file(self, asset: str) -> Path | None:
        return self._folder and self._folder / f"{asset.replace('/', '.')}.npz"
