"""Which topics an exporter reads, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from contracts.topics import Topic


class Start(Enum):
    """Where the reading of a topic begins when the process starts."""

    BEGINNING = "beginning"
    RECENT = "recent"
    END = "end"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic and from where. With RECENT it is read from `recent` records before the end of
    each partition, or from its beginning where there are fewer."""

    topic: Topic
    start: Start
    recent: int = 0
