"""The cameras' part of a demo: their process, and the plant file that knows where it listens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from broker.loopback import HOST, free_port
from contracts.errors import VigiaError
from vigia.demo.rtsp import gstreamer_is_here
from vigia.demo.truth import Filmed
from vigia.parts import RoomProcess

CAMERAS = "cameras"
USER = "vigia"


@dataclass(frozen=True, slots=True)
class Eyes:
    """Where the cameras listen, and the files that pass between them and the demo. With
    `guarded` they ask for a password."""

    folder: Path
    port: int
    guarded: bool

    @classmethod
    def prepare(cls, folder: Path) -> Eyes:
        """A free port, and a password of this demo's own."""
        eyes = cls(folder, free_port(), gstreamer_is_here())
        eyes._password.touch(mode=0o600)
        eyes._password.write_text(secrets.token_urlsafe(18), encoding="utf-8")
        return eyes

    def staged(self, plant_file: Path) -> Path:
        """A copy of the plant file with the cameras' address, user and password in it."""
        document = yaml.safe_load(plant_file.read_text(encoding="utf-8"))
        for site in document["sites"]:
            for asset in site["assets"]:
                if "camera" in asset:
                    self._address(asset["camera"])
        for detector in document["detectors"]:
            if "package" in detector:
                detector["package"] = str((plant_file.parent / detector["package"]).resolve())
        copy = self.folder / "plant.yaml"
        copy.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return copy

    def part(self, seed: int, *, events: bool, seconds: int | None) -> RoomProcess:
        """The cameras' process."""
        command = ["vigia.demo.cameras", "--port", str(self.port), "--seed", str(seed)]
        command += ["--begin", str(self._begin), "--truth", str(self._truth)]
        command += ["--events" if events else "--no-events"]
        if self.guarded:
            command += ["--user", USER, "--password-file", str(self._password)]
        if seconds is not None:
            command += ["--seconds", str(seconds)]
        return RoomProcess(CAMERAS, command, self.folder / "logs" / "cameras.log")

    def begin(self, time_us: int) -> None:
        """Tells the cameras when the demo begins."""
        half = self._begin.with_suffix(".half")
        half.write_text(str(time_us), encoding="utf-8")
        half.replace(self._begin)

    def filmed(self) -> Filmed:
        """What the cameras wrote down. Raises VigiaError."""
        try:
            return Filmed.model_validate_json(self._truth.read_bytes())
        except OSError as error:
            raise VigiaError("the cameras left no account of what they showed") from error

    def _address(self, camera: dict[str, Any]) -> None:
        path = camera["rtsp"].rpartition("/")[2]
        camera["rtsp"] = f"rtsp://{HOST}:{self.port}/{path}"
        if self.guarded:
            camera |= {"username": USER, "password": {"file": str(self._password)}}

    @property
    def _password(self) -> Path:
        return self.folder / "camera.password"

    @property
    def _begin(self) -> Path:
        return self.folder / "begin"

    @property
    def _truth(self) -> Path:
        return self.folder / "filmed.json"
