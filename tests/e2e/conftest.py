"""Starts commands whose families do not outlive the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes.marked import MarkedProcess

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
