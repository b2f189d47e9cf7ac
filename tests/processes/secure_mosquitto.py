"""A Mosquitto by deploy/mosquitto, with TLS, passwords and rights."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from broker.loopback import HOST
from tests.processes.authority import Authority
from tests.processes.deployed import DEPLOY, deployed
from tests.processes.mosquitto import Mosquitto


class SecureMosquitto(Mosquitto):
    """Only ports and paths differ from the files. It shows what `stamp` wrote last."""

    def __init__(
        self, program: str, folder: Path, authority: Authority, users: dict[str, str]
    ) -> None:
        super().__init__(program, folder)
        self._authority = authority
        for name in ("tls", "config", "data"):
            (folder / name).mkdir(parents=True)
        shutil.copy(DEPLOY / "mosquitto" / "acl", folder / "config" / "acl")
        passwords = folder / "config" / "passwords"
        passwords.touch(0o600)
        tool = shutil.which("mosquitto_passwd") or "mosquitto_passwd"
        for name, password in users.items():
            subprocess.run([tool, "-b", str(passwords), name, password], check=True)
        self.stamp(expired=False)

    def stamp(self, *, expired: bool) -> None:
        """Writes the certificate that it shows from its next start on."""
        pair = self._authority.issue("mosquitto", expired=expired)
        shutil.copy(pair.certificate, self._folder / "tls" / "server.crt.pem")
        shutil.copy(pair.key, self._folder / "tls" / "server.key.pem")
        shutil.copy(self._authority.ca_file, self._folder / "tls" / "ca.pem")

    def _config(self) -> str:
        swaps = {"8883 0.0.0.0": f"{self.port} {HOST}", "/mosquitto/": f"{self._folder}/"}
        made = deployed("mosquitto/mosquitto.conf", swaps)
        # It would become a user that may not read the test's folder.
        return made + ("user root\n" if os.geteuid() == 0 else "")
