"""A service of docker-compose.yml as in its container, but natively: its files in a folder of their
own, by secrets that deploy/secrets made, and its words with that folder's paths."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.processes.deployed import DEPLOY, swapped

_SECRETS = "${VIGIA_SECRETS:-./.secrets}"


def made_secrets(folder: Path) -> Path:
    """All of a site, in `folder`."""
    make = [sys.executable, str(DEPLOY / "secrets" / "make"), str(folder)]
    subprocess.run(make, check=True, capture_output=True, timeout=60)
    return folder


class Composed:
    """`name` is the service's. `folder` takes the place of /etc/NAME; more files may lie there."""

    def __init__(self, name: str, folder: Path, secrets: Path) -> None:
        compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text(encoding="utf-8"))
        self._service = compose["services"][name]
        self._etc = f"/etc/{name}"
        self._data = next(
            one["target"] for one in self._service["volumes"] if one["type"] == "volume"
        )
        self.folder = folder
        for source, target in self._mounted(compose["secrets"], secrets):
            there = Path(self.here(target))
            there.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, there)

    def _mounted(self, made: dict[str, Any], secrets: Path) -> Iterator[tuple[Path, str]]:
        for one in self._service["volumes"]:
            if one["type"] == "bind":
                yield DEPLOY.parent / one["source"], one["target"]
        for one in self._service["secrets"]:
            file = made[one["source"]]["file"].removeprefix(f"{_SECRETS}/")
            yield secrets / file, one["target"]

    def here(self, text: str) -> str:
        """With the paths of this folder."""
        text = text.replace(self._etc, str(self.folder))
        return text.replace(f"={self._data}", f"={self.folder / 'data'}")

    def rewrite(self, file: str, swaps: dict[str, str]) -> None:
        """The service's FILE, with the paths of this folder and then with `swaps`."""
        path = self.folder / file
        text = self.here(path.read_text(encoding="utf-8"))
        path.write_text(swapped(text, swaps), encoding="utf-8")

    @property
    def words(self) -> list[str]:
        """Of its command, without the program."""
        return [self.here(word) for word in self._service["command"]]

    def health(self, port: int) -> list[str]:
        """The command of its health check, for one on `port`."""
        inside = self._service["ports"][0].rpartition(":")[2]
        words = self._service["healthcheck"]["test"][1:]
        return [self.here(word).replace(f":{inside}", f":{port}") for word in words]
