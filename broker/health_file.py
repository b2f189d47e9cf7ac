"""What a process says of its health to whom supervises it on its box: a file, each second.

It says so whether Kafka answers or not. The status on `vigia.status` is for who looks from afar.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
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
        """Writes until cancelled; then the file is gone. Waits for ever where there is none."""
        if self._file is None:
            await asyncio.Event().wait()
            return
        try:
            while True:
                self._write(self._file)
                await asyncio.sleep(_EVERY_S)
        finally:
            with suppress(OSError):
                self._file.unlink()

    def _write(self, file: Path) -> None:
        health = Health(self._process, time.time_ns() // 1000, self._ill())
        half = file.with_name(f"{file.name}.half")
        try:
            half.write_text(json.dumps(health.document()), encoding="utf-8")
            os.replace(half, file)
            self._said = ""
        except OSError as error:
            if self._said != str(error):
                self._said = str(error)
                _log.warning("--health %s: %s", file, error.strerror)
