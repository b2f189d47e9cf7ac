"""What a process says of its health to whom supervises it on its box, each second: by a file, and
to systemd, where that started it.

It says so whether Kafka answers or not. The status on `vigia.status` is for who looks from afar.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from contracts.health import Health

_EVERY_S = 1.0
_log = logging.getLogger(__name__)
health_option = click.option(
    "--health",
    "health_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="file in which this process says each second whether it works, for `vigia health`; best "
    "in memory",
)


class HealthFile:
    """`ill` says why the process does not do what it should, or None; it is called on the event
    loop and must be quick."""

    def __init__(self, file: Path | None, process: str, ill: Callable[[], str | None]) -> None:
        self._file = file
        self._process = process
        self._ill = ill
        self._said = ""

    async def run(self) -> None:
        """Says it until cancelled; then the file is gone."""
        try:
            while True:
                health = Health(self._process, time.time_ns() // 1000, self._ill())
                if self._file is not None:
                    self._write(self._file, health)
                _tell_systemd(health)
                await asyncio.sleep(_EVERY_S)
        finally:
            if self._file is not None:
                with suppress(OSError):
                    self._file.unlink()

    def _write(self, file: Path, health: Health) -> None:
        half = file.with_name(f"{file.name}.half")
        try:
            half.write_text(json.dumps(health.document()), encoding="utf-8")
            os.replace(half, file)
            self._said = ""
        except OSError as error:
            if self._said != str(error):
                self._said = str(error)
                _log.warning("--health %s: %s", file, error.strerror)


def _tell_systemd(health: Health) -> None:
    """That it is ready and does not hang (the protocol of sd_notify(3)), and what it lacks."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    told = f"READY=1\nWATCHDOG=1\nSTATUS={health.ill or 'works'}".encode()
    where = f"\0{address[1:]}" if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.sendto(told, where)
