"""Child processes that do not outlive this one, however it ends (`kill -9` too)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import BinaryIO

# Runs in the child in place of a preexec_fn, which is not safe beside threads: asks the
# kernel (PR_SET_PDEATHSIG is 1) for a signal at the parent's death, then becomes the program.
_LAUNCHER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(1, int(sys.argv[1]), 0, 0, 0):
    sys.exit("tether: prctl failed")
if os.getppid() != int(sys.argv[2]):
    sys.exit("tether: the parent is gone")
os.execvp(sys.argv[3], sys.argv[3:])
"""


@cache
def _spawner() -> ThreadPoolExecutor:
    # The kernel means the thread that forked, not the process: so one thread forks them
    # all, and it lives as long as the interpreter does.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="tether")


def spawn(
    argv: Sequence[str],
    *,
    output: BinaryIO | int | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    death_signal: int = signal.SIGTERM,
    keep_open: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Starts a program that gets `death_signal` when this process ends in any way.

    It has a session of its own, so Ctrl-C in the terminal reaches only this process, which
    then stops its children in order. `output` takes stdout and stderr; `keep_open` are file
    descriptors that the program inherits. One that drops privileges loses the tether.
    """
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*launcher, str(int(death_signal)), str(os.getpid()), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            cwd=cwd,
            env=None if env is None else dict(env),
            start_new_session=True,
            pass_fds=keep_open,
        )

    return _spawner().submit(start).result()


def stop(process: subprocess.Popen[bytes], *, patience_s: float = 10.0) -> int:
    """SIGTERM, and SIGKILL where that is not enough in time; returns the exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
