"""One decoder in a process of its own:

    python -m tests.fuzz.child NAME FOLDER SLOT SEED RUNS SECONDS

It begins with the inputs in FOLDER, and goes on with mutations of them.

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
_UNKNOWN = -1
_STATUS = os.open("/proc/self/status", os.O_RDONLY)
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
        """Notes the next input, as much of it as there is room for."""
        self.count += 1
        data = data[: SLOT_BYTES - SLOT_HEAD.size]
        SLOT_HEAD.pack_into(self._memory, 0, self.count, len(data))
        self._memory[SLOT_HEAD.size : SLOT_HEAD.size + len(data)] = data


def peak_bytes() -> int:
    """The most resident memory that this process ever had: not getrusage's, which begins with
    that of the process that started it."""
    text = os.pread(_STATUS, 4_096, 0)
    at = text.index(b"VmHWM:") + len("VmHWM:")
    return int(text[at : text.index(b"kB", at)]) * 1024


class Run:
    """Executions of one target, and what came of them."""

    def __init__(self, target: Target, slot: Slot) -> None:
        self._decode = target.make()
        self._slot = slot
        self._outcomes: set[Hashable] = set()
        self._found: set[Hashable] = set()
        # What the first execution takes, the process has begun with.
        self._base = self._peak = _UNKNOWN
        self._bound = target.memory_mb << 20

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
        self._weigh(data)
        before = len(self._outcomes)
        self._outcomes.add(outcome)
        return len(self._outcomes) > before

    def _weigh(self, data: bytes) -> None:
        peak = peak_bytes()
        if self._base == _UNKNOWN:
            self._base = self._peak = peak
        if peak > self._peak:
            self._peak = peak
            if peak - self._base > self._bound:
                self._report("memory", data, "memory", f"{peak - self._base} bytes")

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


def main(name: str, folder: Path, slot_file: Path, seed: str, runs: int, seconds: float) -> None:
    """Executes the corpus, then mutations of it, `runs` in all or until `seconds` are over."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    target, slot = TARGETS[name], Slot(slot_file)
    run = Run(target, slot)
    bound_memory(4 * target.memory_mb + _SPARE_MB)
    corpus = [data for _, data in read_corpus(folder)]
    done, begun = slot.count, time.monotonic()
    for data in corpus[done:]:
        run.once(data)
    mutator = Mutator(Random(f"{seed} {name} {slot.count}"), corpus, target.words)
    while slot.count < runs and time.monotonic() - begun < seconds:
        data = target.mend(mutator.next())
        if run.once(data) and len(corpus) < MAX_CORPUS:
            corpus.append(data)
    run.end()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _, asked, seeds_in, slot_at, word, count, limit = sys.argv
        main(asked, Path(seeds_in), Path(slot_at), word, int(count), float(limit))
