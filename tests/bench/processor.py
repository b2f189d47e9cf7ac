"""Processor time of what a measurement has started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import psutil

NAMES = {"edge": "edge", "stream": "worker", "mosquitto": "Mosquitto", "kafka.Kafka": "Kafka"}
"""What stands in a command line, and whose it is."""


@dataclass(frozen=True)
class Processor:
    """What the children of this process had taken at one moment, in seconds."""

    taken: dict[psutil.Process, float]

    @classmethod
    def now(cls) -> Self:
        """At this moment."""
        return cls(_taken())

    def spent(self) -> dict[str, float]:
        """Since then, by name, of those that were there then and still are."""
        found: dict[str, float] = {}
        for process, seconds in _taken().items():
            if process in self.taken:
                name = _name(process)
                found[name] = found.get(name, 0.0) + seconds - self.taken[process]
        return found


def _taken() -> dict[psutil.Process, float]:
    found = {}
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        found[process] = times.user + times.system
    return found


def _name(process: psutil.Process) -> str:
    words = [word.rsplit("/", 1)[-1] for word in process.cmdline()]
    return next((name for word, name in NAMES.items() if word in words), words[0])
