"""One `vigia run`, and the processes of its line by their names."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from broker.loopback import answers, free_port
from broker.tether import spawn, stop

START_LIMIT_S = 90.0
AGAIN_LIMIT_S = 90.0


@dataclass
class Box:
    """`vigia run` of `plant` on the Kafka at `kafka` (HOST:PORT). With `terminal` it believes that
    a person looks at it."""

    name: str
    plant: Path
    workers: int
    kafka: str
    terminal: bool = False
    port: int = field(default_factory=free_port)
    _front: subprocess.Popen[bytes] | None = None
    _names: dict[int, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its data and logs lie."""
        return self.plant.parent / "data"

    def start(self) -> None:
        """Starts it, and does not wait."""
        argv = [sys.executable, "-P", "-m", "vigia", "run", "--plant", str(self.plant)]
        argv += ["--data", str(self.folder), "--workers", str(self.workers)]
        argv += ["--metrics-port", str(self.port), "--kafka", self.kafka]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm"}
        output = _terminal() if self.terminal else os.open(os.devnull, os.O_WRONLY)
        try:
            self._front = spawn(argv, output=output, env=environment)
        finally:
            os.close(output)

    def pids(self) -> dict[str, int]:
        """Its processes by name: `front`, `edge`, `worker-1`, `exporter`."""
        if self._front is None or self._front.poll() is not None:
            return {}
        found = {"front": self._front.pid}
        for child in psutil.Process(self._front.pid).children():
            if name := self._name(child):
                found[name] = child.pid
        return found

    def _name(self, process: psutil.Process) -> str | None:
        if process.pid not in self._names:
            with suppress(psutil.Error):
                if name := name_of(process.cmdline()):
                    self._names[process.pid] = name
        return self._names.get(process.pid)

    async def pid(self, name: str, other_than: int | None = None) -> int:
        """That of one of its processes, once it is there."""
        limit = time.monotonic() + AGAIN_LIMIT_S
        while (pid := self.pids().get(name, other_than)) in (None, other_than):
            if time.monotonic() > limit:
                raise SystemExit(f"soak: {self.name}: {name} was not started again")
            await asyncio.sleep(0.1)
        return pid

    async def kill(self, name: str) -> None:
        """`kill -9`; returns once there is another one."""
        pid = await self.pid(name)
        os.kill(pid, signal.SIGKILL)
        await self.pid(name, other_than=pid)

    async def ready(self) -> None:
        """Returns once its exporter has read what there is."""
        limit = time.monotonic() + START_LIMIT_S
        while not self.scrape():
            if time.monotonic() > limit or not self.pids():
                raise SystemExit(f"soak: {self.name} did not start; see {self.folder}/logs")
            await asyncio.sleep(0.5)

    def scrape(self) -> bool:
        """Asks for the metrics, as Prometheus does; whether they came."""
        if not answers(self.port):
            return False
        with suppress(urllib.error.URLError, OSError):
            url = f"http://127.0.0.1:{self.port}/metrics"
            with urllib.request.urlopen(url, timeout=10) as response:
                return bool(response.read())
        return False

    def stop(self) -> int | None:
        """Its exit code after SIGTERM."""
        return None if self._front is None else stop(self._front)


def name_of(command: list[str]) -> str | None:
    """What the process of a line with this command line is called here."""
    for room, called in (("edge", "edge"), ("stream", "worker"), ("exporters", "exporter")):
        if "vigia" in command and room in command and "--instance" in command:
            instance = command[command.index("--instance") + 1]
            return f"{called}-{instance.rpartition('-')[2]}" if called == "worker" else called
    return None


def _terminal() -> int:
    """One end of a terminal of 120 by 40 on which nobody looks."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def drain() -> None:
        with suppress(OSError):
            while os.read(master, 65_536):
                pass
        os.close(master)

    threading.Thread(target=drain, daemon=True).start()
    return slave
