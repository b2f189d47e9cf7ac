"""One decoder in a process of its own: `python -m tests.fuzz.child NAME SLOT SEED RUNS SECONDS`.

The process tells what it is doing in SLOT, a file that outlives it: the number of executions and
the input of the last one. What it finds it writes as lines of JSON to its standard output.
"""

from __future__ import annotations

import base64
import contextlib
import faulthandler
import json
import mmap
import os
import re
import resource
import struct
import sys
import time
from collections.abc import Hashable
from pathlib import Path
from random import Random

from contracts.errors import VigiaError
from tests.fuzz.corpus import read_corpus
from tests.fuzz.mutation import MAX_BYTES, Mutator
from tests.fuzz.targets import TARGETS, Target

SLOT_HEAD = struct.Struct("<QI")
SLOT_BYTES = SLOT_HEAD.size + 4 * MAX_BYTES
MAX_CORPUS = 2_000
_MOST_FOUND = 20
_SPARE_MB = 2_048
"""Of address space, which allocators take without using it."""
_ANY = re.compile(r"[0-9]+|'.*'|\".*\"|b'.*'")


class Slot:
    """What the parent may read at any time, also when this process has crashed."""

    def __init__(self, file: Path) -> None:
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), SLOT_BYTES)
        (self.count, _) = SLOT_HEAD.unpack_from(self._memory)

    def begin(self, data: bytes) -> None:
        """Notes the next input."""
        self.count += 1
        SLOT_HEAD.pack_into(self._memory, 0, self.count, len(data))
        self._memory[SLOT_HEAD.size : SLOT_HEAD.size + len(data)] = data


def peak_bytes() -> int:
    """The most resident memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Run:
    """Executions of one target, and what came of them."""

    def __init__(self, target: Target, slot: Slot) -> None:
        self._decode = target.make()
        self._slot = slot
        self._outcomes: set[Hashable] = set()
        self._found: set[Hashable] = set()
        self._base = self._peak = peak_bytes()
        self._bound = target.memory_mb << 20

    def warm(self, data: bytes) -> None:
        """Executes `data`, and counts what that takes as what the process began with."""
        self.once(data)
        self._base = self._peak = peak_bytes()

    def once(self, data: bytes) -> bool:
        """Whether its outcome is one that was not seen before."""
        self._slot.begin(data)
        try:
            outcome: Hashable = self._decode(data)
        except VigiaError as error:
            outcome = _signature(error)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            outcome = _signature(error)
            self._report("foreign", data, outcome, f"{type(error).__name__}: {error}"[:300])
        if peak_bytes() > self._peak:
            self._peak = peak_bytes()
            if self._peak - self._base > self._bound:
                self._report("memory", data, "memory", f"{self._peak - self._base} bytes")
        before = len(self._outcomes)
        self._outcomes.add(outcome)
        return len(self._outcomes) > before

    def _report(self, kind: str, data: bytes, signature: Hashable, text: str) -> None:
        if signature not in self._found:
            self._found.add(signature)
            say(found=kind, text=text, data=base64.b64encode(data).decode())
            if len(self._found) >= _MOST_FOUND or kind == "memory":
                self.end()
                sys.exit(3)

    def end(self) -> None:
        """Says how it went."""
        say(outcomes=len(self._outcomes), peak_bytes=self._peak - self._base)


def say(**told: object) -> None:
    print(json.dumps(told), flush=True)


def _signature(error: BaseException) -> Hashable:
    """Where an error arose, and its words without what it quotes."""
    lines: list[object] = [type(error).__name__, _ANY.sub("", str(error))[:40]]
    cause: BaseException | None = error
    while cause is not None and len(lines) < 40:
        trace = cause.__traceback__
        while trace is not None:
            lines.append(trace.tb_lineno)
            trace = trace.tb_next
        cause = cause.__cause__
    return tuple(lines)


def bound_memory(mb: int) -> None:
    """No more address space from now on than `mb` beyond what is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + (mb << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(name: str, slot_file: Path, seed: str, runs: int, seconds: float) -> None:
    """Executes the corpus, then mutations of it, `runs` in all or until `seconds` are over."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    target, slot = TARGETS[name], Slot(slot_file)
    run = Run(target, slot)
    bound_memory(4 * target.memory_mb + _SPARE_MB)
    corpus = [data for _, data in read_corpus(name)]
    seeds = corpus[slot.count :] if slot.count < len(corpus) else []
    begun = time.monotonic()
    run.warm(corpus[0])
    for data in seeds:
        run.once(data)
    mutator = Mutator(Random(f"{seed} {name} {slot.count}"), corpus, target.words)
    while slot.count < runs and time.monotonic() - begun < seconds:
        data = target.mend(mutator.next())
        if run.once(data) and len(corpus) < MAX_CORPUS:
            corpus.append(data)
    run.end()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
