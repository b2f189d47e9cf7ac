"""A real Prometheus on the loopback interface."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

from broker.loopback import HOST, answers, free_port
from broker.tether import spawn, stop

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


def scrapes(port: int) -> str:
    """The configuration of one that asks `http://127.0.0.1:port/metrics` every second, as job
    `vigia`."""
    return _PLAIN.format(host=HOST, port=port)


class Prometheus:
    """Works by the text of a configuration, which lies in `folder`."""

    def __init__(self, program: str, folder: Path, config: str) -> None:
        self._program = program
        self._folder = folder
        self._config = config
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "prometheus.yml"
        config.write_text(self._config)
        log_path = self._folder / "prometheus.log"
        argv = [
            self._program,
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
        ]
        with log_path.open("ab") as log:
            self._process = spawn(argv, output=log, cwd=self._folder)
        limit = time.monotonic() + _START_LIMIT_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"Prometheus did not start:\n{log_path.read_text()[-2000:]}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        """Whether it answers queries: for a while after its port is open it refuses them."""
        if not answers(self.port):
            return False
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/-/ready", timeout=10):
                return True
        except urllib.error.URLError:
            return False

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
        url = f"http://{HOST}:{self.port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
        return answer
