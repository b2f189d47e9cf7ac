"""When another plant file, or another model package, is to be taken up by a process that runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts.messages import PlantUse
from contracts.plant.model import Plant

FIXED = ("mqtt", "kafka", "spool")
"""Sections by which connections and topics were made when the processes started."""


@dataclass(slots=True)
class Watch:
    """What is on disk against what is in use. Contents are named by fingerprints: equal ones are
    the same content. `running` is that in use."""

    running: str
    taken: int = 0
    """How often another content was taken up."""
    refused: int = 0
    """How often one was refused."""
    why: str = ""
    """Why what is on disk now was refused; empty when it was not."""
    _last: str = field(init=False)
    _bad: str | None = None

    def __post_init__(self) -> None:
        self._last = self.running

    def look(self, found: str) -> bool:
        """Whether `found`, which is on disk now, is to be tried: it is not in use, it was not
        refused before, and it has stood still since the last look, or it might be half written."""
        still, self._last = found == self._last, found
        if found != self._bad:
            self._bad, self.why = None, ""
        return still and found not in (self.running, self._bad)

    def take(self, found: str) -> None:
        """`found` is in use from now on."""
        self.running = self._last = found
        self.taken += 1

    def refuse(self, found: str, why: str) -> None:
        """`found` cannot be used, for which nobody is told twice as long as it is there."""
        self._bad, self.why = found, why
        self.refused += 1

    def use(self, plant: str) -> PlantUse:
        """What a Status says of it; `plant` is the hash of the plant file in use."""
        return PlantUse(
            hash=plant,
            taken=self.taken,
            refused=self.refused,
            differs=self._last != self.running,
        )


def fixed_changes(old: Plant, new: Plant) -> tuple[str, ...]:
    """What of `new` cannot be taken up by processes that run by `old`; one line for each key."""
    found = []
    for section in FIXED:
        before, after = (getattr(plant, section).model_dump(mode="json") for plant in (old, new))
        found += [
            f"{section}.{key}: expected {before[key]!r}, as when this process started, got "
            f"{after[key]!r}: this takes a restart"
            for key in before
            if before[key] != after[key]
        ]
    return tuple(found)
