"""Starts commands whose families do not outlive the test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes.marked import MarkedProcess

ROOT = Path(__file__).parents[2]
Start = Callable[..., MarkedProcess]


@pytest.fixture
def vigia(tmp_path: Path) -> Iterator[Start]:
    """`vigia(*arguments, **environment)` starts the command; all of it ends with the test."""
    started: list[MarkedProcess] = []

    def start(*arguments: str, **env: str) -> MarkedProcess:
        output = tmp_path / f"output-{len(started)}.txt"
        # What the demo leaves behind shows in the test's own folder.
        temporary = tmp_path / "tmp"
        temporary.mkdir(exist_ok=True)
        # The tests look for English texts, whatever is spoken where they run.
        env = {"TMPDIR": str(temporary), "LC_ALL": "C.UTF-8", **env}
        started.append(MarkedProcess(list(arguments), output, env))
        return started[-1]

    yield start
    for process in started:
        process.kill_all()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `make bundle` makes."""
    folder = tmp_path_factory.mktemp("archive")
    script = [str(ROOT / "scripts" / "bundle"), str(folder)]
    made = subprocess.run(script, capture_output=True, text=True, check=False, timeout=280)
    assert made.returncode == 0, made.stdout + made.stderr
    (file,) = folder.glob("*.tar")
    yield file
    file.unlink()
