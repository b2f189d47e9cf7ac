"""Dead letters, counted by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from contracts.headers import header_map
from contracts.record import Record
from contracts.topics import DEAD_LETTERS
from exporters.core.bounds import OTHER, Recent, Words
from exporters.core.families import Family, Labels, counter
from exporters.core.wanted import Start, Wanted

_MOST_IDS = 20_000
_MOST_REASONS = 50


class Letters:
    """Counted from 0 at each start, for the reason that Alerts gives."""

    wanted = (Wanted(DEAD_LETTERS, Start.END),)

    def __init__(self) -> None:
        self._counts: Counter[Labels] = Counter({(OTHER,): 0})
        self._reasons = Words(_MOST_REASONS)
        self._ids = Recent(_MOST_IDS)

    def take(self, record: Record, now_us: int, live: bool) -> str | None:
        """Counts the letter; why not, if not."""
        headers = header_map(record.headers)
        id = headers.get("ce_id", b"").decode(errors="replace")
        if id and self._ids.again(id):
            return "repeated"
        if not live:
            return "history"
        self._counts[
            (self._reasons.label(headers.get("ce_reason", b"").decode(errors="replace")),)
        ] += 1
        return None

    def families(self, now_us: int) -> Iterator[Family]:
        """The counts."""
        yield counter(
            "vigia_dead_letters_total",
            "Messages that could not be used since this exporter started.",
            ("reason",),
            sorted(self._counts.items()),
        )
