"""What a process holds: memory, open files, threads. Read from /proc."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_KB = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one time. Memory in bytes: resident, its share of what it has in common
    with others (PSS), what is its alone (USS). `files` counts open descriptors by kind."""

    at_s: float
    name: str
    pid: int
    rss: int
    pss: int
    uss: int
    threads: int
    files: Mapping[str, int]


def sample(at_s: float, name: str, pid: int) -> Sample | None:
    """None when the process has just ended."""
    proc = Path("/proc") / str(pid)
    try:
        memory = _memory((proc / "smaps_rollup").read_text())
        threads = len(os.listdir(proc / "task"))
        files = Counter(_kind(proc / "fd" / one) for one in os.listdir(proc / "fd"))
    except OSError:
        return None
    if "Rss" not in memory:
        return None
    own = memory["Private_Clean"] + memory["Private_Dirty"]
    return Sample(at_s, name, pid, memory["Rss"], memory["Pss"], own, threads, files)


def _memory(text: str) -> dict[str, int]:
    return {name: int(kb) * 1024 for name, kb in _KB.findall(text)}


def _kind(descriptor: Path) -> str:
    """`socket`, `pipe`, an anonymous one such as `eventpoll`, or `file`."""
    try:
        target = os.readlink(descriptor)
    except OSError:
        return "closed"
    if target.startswith("anon_inode:"):
        return target.removeprefix("anon_inode:").strip("[]")
    kind, _, rest = target.partition(":[")
    return kind if rest else "file"
