"""The plant file and the model packages that it names, as they lie on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contracts.errors import ConfigError
from contracts.plant import Plant, check_plant, read_plant
from contracts.plant.detectors import Autoencoder, Vision
from contracts.plant.lines import MAX_BYTES

PACKAGE = ("manifest.json", "model.onnx", "golden.npz")
_Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What lay there at one look: the plant file's text (None: it could not be read, and `fault`
    says why), and of each package that it names the fingerprint and the folder."""

    name: str
    text: bytes | None
    fault: str
    packages: Mapping[str, str]
    folders: Mapping[str, Path]

    @property
    def fingerprint(self) -> str:
        """Equal for equal contents."""
        parts = [hashlib.sha256(self.text).hexdigest() if self.text is not None else self.fault]
        parts += [f"{name}\0{digest}" for name, digest in sorted(self.packages.items())]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def plant(self) -> Plant:
        """The plant. Raises ConfigError with everything that is wrong."""
        if self.text is None:
            raise ConfigError(f"{self.name}: cannot be read: {self.fault}")
        return read_plant(self.text, self.name)


@dataclass(slots=True)
class PlantDisk:
    """Looks at `file`, and with `models` at the packages that detectors name. By content: a file is
    read again when anything of its entry changed (a link that points elsewhere, another inode, a
    time), so that a look costs a few system calls. Blocks; one thread at a time."""

    file: Path
    models: bool = False
    first: Found = field(init=False)
    """What was there when this was made."""
    _digests: dict[Path, tuple[_Stamp, str]] = field(default_factory=dict)
    _named: tuple[bytes, frozenset[str]] = (b"", frozenset())

    def __post_init__(self) -> None:
        self.first = self.look()

    def look(self) -> Found:
        """What is there now."""
        text, fault = None, ""
        try:
            with self.file.open("rb") as file:
                # One more than is taken, so that what is longer is refused and not cut.
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            fault = error.strerror or type(error).__name__
        names = self._packages(text) if self.models and text is not None else ()
        folders = {one: self.file.parent / self.place(one) for one in names}
        packages = {name: self._package(folder) for name, folder in folders.items()}
        return Found(str(self.file), text, fault, packages, folders)

    def place(self, package: str) -> str:
        """Where a package lies, from the plant file's folder on."""
        return package

    def _packages(self, text: bytes) -> frozenset[str]:
        if self._named[0] != text:
            plant, _ = check_plant(text)
            sections = () if plant is None else plant.detectors
            found = (one.package for one in sections if isinstance(one, Autoencoder | Vision))
            self._named = text, frozenset(found)
        return self._named[1]

    def _package(self, folder: Path) -> str:
        digests = [self._digest(folder / one) for one in PACKAGE]
        return hashlib.sha256("\0".join(digests).encode()).hexdigest()

    def _digest(self, path: Path) -> str:
        try:
            entry = path.stat()
            stamp = (
                entry.st_dev,
                entry.st_ino,
                entry.st_size,
                entry.st_mtime_ns,
                entry.st_ctime_ns,
            )
            known = self._digests.get(path)
            if known is None or known[0] != stamp:
                with path.open("rb") as file:
                    known = stamp, hashlib.file_digest(file, "sha256").hexdigest()
                self._digests[path] = known
        except OSError as error:
            return error.strerror or type(error).__name__
        return known[1]
