"""The port of the room: what turns the line's messages into something for the outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from contracts.messages import Account
from contracts.record import Record
from exporters.core.wanted import Wanted


class Exporter(Protocol):
    """Shows the line to the outside.

    Records of one partition come in their order; after a fault of the broker some may come
    again, and then change nothing. tests/conformance/exporter_kit.py says it in tests.
    """

    def wants(self) -> tuple[Wanted, ...]:
        """The topics to read."""

    def apply(self, record: Record, now_us: int, *, live: bool) -> None:
        """Take in one record at `now_us`. Not `live` is what was written before this process
        started: it is state and not news. Never raises for what the record holds: what cannot
        be used is counted as dropped, with its reason."""

    def account(self) -> Mapping[str, Account]:
        """What was taken in and what became of it, by stage."""
