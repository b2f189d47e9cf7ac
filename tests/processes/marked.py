"""A command whose whole family of processes can be found, whatever becomes of its parents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import psutil

_MARK = "VIGIA_TEST_MARK"


class MarkedProcess:
    """`python -m vigia ARGUMENTS`; every descendant inherits a mark in its environment."""

    def __init__(self, arguments: list[str], output: Path, env: Mapping[str, str]) -> None:
        self._mark = uuid.uuid4().hex
        self._output = output
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "vigia", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env, _MARK: self._mark},
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """All that it has written."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the command alone, not to its family."""
        self._process.send_signal(number)

    def wait(self, limit_s: float = 60.0) -> int:
        """Its exit code."""
        return self._process.wait(limit_s)

    def wait_for(self, text: str, limit_s: float = 60.0) -> None:
        """Returns once it has written `text`."""
        limit = time.monotonic() + limit_s
        while text not in self.text:
            if self._process.poll() is not None or time.monotonic() > limit:
                raise AssertionError(f"never wrote {text!r}:\n{self.text[-4000:]}")
            time.sleep(0.1)

    def family(self) -> list[psutil.Process]:
        """Every living process with the mark."""
        return [process for process in psutil.process_iter() if self._is_mine(process)]

    def listeners(self) -> list[tuple[str, str]]:
        """Of every TCP listener of the family: the program and the address."""
        return sorted(
            (Path((_command_line(process) or ["?"])[0]).name, one.laddr.ip.removeprefix("::ffff:"))
            for process in self.family()
            for one in process.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN
        )

    def find(self, *words: str) -> psutil.Process:
        """The member of the family whose command line has all these words."""
        found = [process for process in self.family() if set(words) <= set(_command_line(process))]
        assert len(found) == 1, f"{words}: {found}"
        return found[0]

    def gone(self, limit_s: float = 15.0) -> bool:
        """Whether the whole family ends by itself in time."""
        limit = time.monotonic() + limit_s
        while self.family():
            if time.monotonic() > limit:
                return False
            time.sleep(0.1)
        return True

    def kill_all(self) -> None:
        """For the end of a test, however it went."""
        for process in self.family():
            process.kill()
        self._process.wait()

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            return (
                process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(_MARK) == self._mark
            )
        except psutil.Error:
            return False


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
