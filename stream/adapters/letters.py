"""Messages that cannot be used: counted, and put with their reason on `vigia.dead-letters`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from contracts.deadletters import dead_letter
from contracts.errors import MessageError
from contracts.messages import Account
from contracts.record import Outgoing, Record
from contracts.topics import DEAD_LETTERS, topic_name


@dataclass(slots=True)
class Letters:
    """What became of the messages that one agent was given."""

    prefix: str
    source: str
    taken_in: int = 0
    used: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def letter(self, record: Record, error: MessageError, *, counted: bool = True) -> Outgoing:
        """The dead letter for `record`, which is `counted` as dropped unless something else
        comes of it too."""
        if counted:
            self.dropped[error.reason] += 1
        value, headers = dead_letter(
            record.value or b"",
            error,
            source=self.source,
            origin=f"{record.topic}/{record.partition}/{record.offset}",
            at_us=record.timestamp_ms * 1000,
            number=record.offset,
        )
        topic = topic_name(DEAD_LETTERS, self.prefix)
        return Outgoing(topic, record.topic.encode(), value, headers)

    def account(self) -> Account:
        """The messages, each counted where it was read, used or dropped."""
        return Account(
            unit="message",
            taken_in=self.taken_in,
            gone_out=self.used,
            held=0,
            dropped=dict(self.dropped),
        )
