"""The books of what a worker opens, sends and loses."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from contracts.messages import Account


@dataclass(slots=True)
class Tally:
    """Units (windows, panes) that were opened, written and acknowledged, or dropped; `in_flight`
    are those that wait for the broker."""

    unit: str
    taken_in: int = 0
    gone_out: int = 0
    in_flight: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def sent(self, count: int) -> None:
        """So many are on their way to the broker."""
        self.in_flight += count

    def acknowledged(self, count: int) -> None:
        """The broker has so many of them."""
        self.in_flight -= count
        self.gone_out += count

    def account(self, held: int) -> Account:
        """The books, with what is `held` besides what is on its way."""
        return Account(
            unit=self.unit,
            taken_in=self.taken_in,
            gone_out=self.gone_out,
            held=held + self.in_flight,
            dropped=dict(self.dropped),
        )
