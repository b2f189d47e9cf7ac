"""Runs a target in child processes, watches them, and keeps what breaks them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.child import SLOT_BYTES, SLOT_HEAD
from tests.fuzz.corpus import FOLDER
from tests.fuzz.targets import TARGETS

HANG_CPU_S, HANG_WALL_S = 10.0, 120.0
"""After so long an execution hangs: of the processor's time, which a busy machine does not
lengthen, or of the clock's."""
_LOOK_S = 0.2
_MOST_RESTARTS = 10


@dataclass
class Result:
    """What became of one target. `outcomes` counts the ways in which executions ended: by where
    which error arose, or by what was decoded."""

    target: str
    bound_mb: int
    executions: int = 0
    seconds: float = 0.0
    outcomes: int = 0
    peak_mb: float = 0.0
    found: list[dict[str, str]] = field(default_factory=list)


def fuzz(
    name: str, *, runs: int, seconds: float, seed: str, out: Path, corpus: Path | None = None
) -> Result:
    """Executes the target `runs` times, or for `seconds`: first the inputs in `corpus` (default:
    those that are kept), then mutations of them. Inputs that break it are kept in `out`;
    after a crash or a hang it goes on in another process."""
    result = Result(name, TARGETS[name].memory_mb)
    folder = corpus or FOLDER / name
    begun = time.monotonic()
    with tempfile.NamedTemporaryFile(prefix="fuzz-") as slot:
        slot.truncate(SLOT_BYTES)
        for _ in range(_MOST_RESTARTS):
            left = seconds - (time.monotonic() - begun)
            argv = (name, str(folder), slot.name, seed, str(runs), str(left))
            broken, told = _watch(argv, Path(slot.name))
            result.executions, data = _read(Path(slot.name))
            for line in told:
                _note(result, line, out)
            if broken is None:
                break
            _keep(result, broken, "", data, out)
    result.seconds = time.monotonic() - begun
    return result


def _watch(argv: tuple[str, ...], slot: Path) -> tuple[str | None, list[dict[str, Any]]]:
    """How the child broke, and all that it said."""
    command = [sys.executable, "-m", "tests.fuzz.child", *argv]
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as cried:
        child = subprocess.Popen(command, stdout=said, stderr=cried, env=_environment())
        try:
            broken = _wait(child, slot)
        finally:
            child.kill()
            child.wait()
        said.seek(0)
        told = [json.loads(line) for line in said.read().splitlines() if line.startswith(b"{")]
        cried.seek(0)
        words = cried.read()[-2000:].decode(errors="replace")
    if broken is None and child.returncode not in (0, 3):
        broken = f"crash {child.returncode}: {words}"
    return broken, told


def _wait(child: subprocess.Popen[bytes], slot: Path) -> str | None:
    """Waits for the end of the child; what is wrong when it has none."""
    count, cpu_s, at_s = 0, 0.0, time.monotonic()
    while True:
        try:
            child.wait(_LOOK_S)
            return None
        except subprocess.TimeoutExpired:
            pass
        now, used_s = _read(slot)[0], _cpu_s(child.pid)
        if now != count:
            count, cpu_s, at_s = now, used_s, time.monotonic()
        elif used_s - cpu_s > HANG_CPU_S or time.monotonic() - at_s > HANG_WALL_S:
            return "hang"


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _read(slot: Path) -> tuple[int, bytes]:
    with slot.open("rb") as file:
        count, size = SLOT_HEAD.unpack(file.read(SLOT_HEAD.size))
        return count, file.read(size)


def _environment() -> dict[str, str]:
    # One thread each: what else is under way on the machine shall not suffer.
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **single, "ORT_DISABLE_TELEMETRY": "1", "PYTHONHASHSEED": "0"}


def _note(result: Result, line: dict[str, Any], out: Path) -> None:
    if "found" in line:
        data = base64.b64decode(line["data"])
        _keep(result, str(line["found"]), str(line["text"]), data, out)
    else:
        result.outcomes = max(result.outcomes, int(line["outcomes"]))
        result.peak_mb = max(result.peak_mb, line["peak_bytes"] / 2**20)


def _keep(result: Result, kind: str, text: str, data: bytes, out: Path) -> None:
    folder = out / result.target
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{kind.split()[0]}-{hashlib.sha256(data).hexdigest()[:12]}"
    file.write_bytes(data)
    result.found.append({"kind": kind, "text": text, "file": str(file)})
    print(f"{result.target}: {kind}: {text} ({file})", file=sys.stderr, flush=True)
