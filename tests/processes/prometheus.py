"""A real Prometheus on the loopback interface."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from broker.loopback import HOST, answers, free_port
from broker.tether import spawn, stop
from tests.processes.door import Door

_START_LIMIT_S = 30.0
_PLAIN = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: vigia
    static_configs:
      - targets: ["{host}:{port}"]
"""


def find_prometheus() -> str | None:
    """The program's path, or None."""
    return shutil.which("prometheus")


def scraping(program: str, folder: Path, port: int) -> Prometheus:
    """One that asks `http://127.0.0.1:port/metrics` every second, as job `vigia`."""
    folder.mkdir(parents=True)
    config = folder / "prometheus.yml"
    config.write_text(_PLAIN.format(host=HOST, port=port))
    words = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    return Prometheus(program, folder, words, Door(free_port()))


class Prometheus:
    """Started by `words`, in `folder`; `door` is the way to ask it."""

    def __init__(self, program: str, folder: Path, words: Sequence[str], door: Door) -> None:
        self._program = program
        self._folder = folder
        self._words = words
        self.door = door
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has written."""
        return (self._folder / "prometheus.log").read_text()

    def start(self) -> None:
        """Returns once it answers."""
        argv = [self._program, *self._words, f"--web.listen-address={HOST}:{self.door.port}"]
        with (self._folder / "prometheus.log").open("ab") as log:
            self._process = spawn(argv, output=log, cwd=self._folder)
        limit = time.monotonic() + _START_LIMIT_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"Prometheus did not start:\n{self.log[-2000:]}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        """Whether it answers queries: for a while after its port is open it refuses them."""
        if not answers(self.door.port):
            return False
        try:
            self.door.ask("/-/ready")
        except urllib.error.URLError:
            return False
        return True

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result vector of a PromQL expression: `[{"metric": …, "value": [t, "x"]}]`."""
        answer = self._get("query", {"query": expression})
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def query_range(self, expression: str, seconds: int = 60) -> list[dict[str, Any]]:
        """The result matrix over the last `seconds`: `[{"metric": …, "values": [[t, "x"], …]}]`."""
        end = time.time()
        asked = {"query": expression, "start": f"{end - seconds}", "end": f"{end}", "step": "1"}
        result: list[dict[str, Any]] = self._get("query_range", asked)["data"]["result"]
        return result

    def targets(self) -> list[dict[str, Any]]:
        """The scraped targets with `health` and `lastError`."""
        active: list[dict[str, Any]] = self._get("targets", {})["data"]["activeTargets"]
        return active

    def stop(self) -> None:
        if self._process is not None:
            stop(self._process)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _get(self, what: str, parameters: dict[str, str]) -> dict[str, Any]:
        path = f"/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        answer: dict[str, Any] = self.door.ask(path)
        return answer
