"""Which MQTT messages may be acknowledged, in the order in which they came."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from contracts.messages import Account

CONNECTION_LOST = "connection-lost"
"""Dropped before it could be acknowledged: the broker keeps the message and sends it again."""


@dataclass(slots=True, eq=False)
class Receipt:
    """One received message. `waits` counts what must be in Kafka before it may be
    acknowledged; `reason` says why it became a dead letter, when it did."""

    connection: int
    mid: int
    qos: int
    received_us: int
    size: int = 0
    waits: int = 1
    reason: str | None = None

    def hold(self) -> None:
        """One thing more must be in Kafka first."""
        self.waits += 1

    def release(self) -> None:
        """One of these things is in Kafka."""
        self.waits -= 1


@dataclass(slots=True)
class Acks:
    """The messages that were received and not acknowledged: `limit` of them at most, and
    about `limit_bytes` of payload.

    MQTT asks for acknowledgements in the order of the messages (MQTT-4.6.0-2), so a message
    waits for those before it.
    """

    limit: int
    limit_bytes: int = 64_000_000
    taken_in: int = 0
    gone_out: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    _open: deque[Receipt] = field(default_factory=deque)
    _bytes: int = 0

    @property
    def held(self) -> int:
        """How many wait."""
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether no further message should be read."""
        return len(self._open) >= self.limit or self._bytes >= self.limit_bytes

    def take_in(
        self, connection: int, mid: int, qos: int, received_us: int, size: int = 0
    ) -> Receipt:
        """Receives one message of `size` bytes. The caller releases the receipt once it has
        handled the message."""
        receipt = Receipt(connection, mid, qos, received_us, size)
        self._open.append(receipt)
        self._bytes += size
        self.taken_in += 1
        return receipt

    def next_ready(self) -> Receipt | None:
        """The message to acknowledge now, taken out; to be settled at once."""
        if not self._open or self._open[0].waits > 0:
            return None
        receipt = self._open.popleft()
        self._bytes -= receipt.size
        return receipt

    def settle(self, receipt: Receipt, *, sent: bool) -> None:
        """Counts a message: `sent` says whether its acknowledgement could be sent."""
        if not sent:
            self.dropped[CONNECTION_LOST] += 1
        elif receipt.reason is None:
            self.gone_out += 1
        else:
            self.dropped[receipt.reason] += 1

    def connection_lost(self) -> int:
        """Forgets what can no longer be acknowledged and comes again; how many that is."""
        count = len(self._open)
        if count:
            self.dropped[CONNECTION_LOST] += count
        self._open.clear()
        self._bytes = 0
        return count

    def account(self) -> Account:
        """The books of `edge.mqtt`."""
        return Account(
            unit="message",
            taken_in=self.taken_in,
            gone_out=self.gone_out,
            held=self.held,
            dropped=dict(self.dropped),
        )
