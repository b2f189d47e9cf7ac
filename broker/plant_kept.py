"""A copy of the plant file and the models in use, for a process that starts while a bad one lies
on disk."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import click

from broker.plant_disk import PACKAGE, Found, PlantDisk
from contracts.errors import VigiaError
from contracts.plant import Plant

LAST, BEFORE, NEW = "last", "before", "new"
state_option = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="folder for a copy of the plant file in use, by which the process starts again when what "
    "is on disk is refused; default: none",
)
_log = logging.getLogger(__name__)
T = TypeVar("T")


class _Copy(PlantDisk):
    """Packages lie beside the plant file here, wherever it says that they are."""

    def place(self, package: str) -> str:
        return _place(package)


def _place(package: str) -> str:
    return hashlib.sha256(package.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Begun:
    """By what a process begins: what was `found`, and its `plant`. It goes on looking at `disk`,
    and keeps what it uses in `folder` (None: nowhere)."""

    disk: PlantDisk
    folder: Path | None
    found: Found
    plant: Plant

    @classmethod
    def of(
        cls, disk: PlantDisk, folder: Path | None, build: Callable[[Plant, Found], T]
    ) -> tuple[Self, T]:
        """By what is on disk, or where `build` refuses that, by the copy in `folder`; and what was
        built. Raises VigiaError with what was wrong on disk."""
        try:
            found, plant = disk.first, disk.first.plant()
            made = build(plant, found)
        except VigiaError as error:
            copy = _copy(folder, models=disk.models)
            if copy is None:
                raise
            _log.error("refused, the one before is used: %s", error)
            found, plant = copy.first, copy.first.plant()
            made = build(plant, found)
        return cls(disk, folder, found, plant), made

    def keep(self, found: Found) -> None:
        """Copies what is in use. A disk that refuses is said, and the copy stays as it was."""
        if self.folder is None or found.text is None:
            return
        copy = _copy(self.folder, models=self.disk.models)
        if copy is not None and copy.first.fingerprint == found.fingerprint:
            return
        try:
            self._write(self.folder, found, found.text)
        except OSError as error:
            _log.warning("no copy of the plant file in %s: %s", self.folder, error)

    def _write(self, folder: Path, found: Found, text: bytes) -> None:
        new, last, before = (folder / name for name in (NEW, LAST, BEFORE))
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        file = new / "plant.yaml"
        file.write_bytes(text)
        for name, source in found.folders.items():
            place = new / _place(name)
            place.mkdir()
            for one in PACKAGE:
                shutil.copyfile(source / one, place / one)
        if _Copy(file, self.disk.models).first.fingerprint != found.fingerprint:
            # It changed meanwhile: what is there then is taken up, and kept, or refused.
            return
        shutil.rmtree(before, ignore_errors=True)
        if last.exists():
            last.rename(before)
        new.rename(last)
        shutil.rmtree(before, ignore_errors=True)


def _copy(folder: Path | None, *, models: bool) -> PlantDisk | None:
    for name in (LAST, BEFORE):
        # Between two renames there is only the one before.
        if folder is not None and (file := folder / name / "plant.yaml").exists():
            return _Copy(file, models)
    return None
