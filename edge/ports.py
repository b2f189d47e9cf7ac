"""What the edge needs of its world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from contracts.readings import ReadingBatch
from edge.core.batches import Place
from edge.core.intake import Incoming, Letter


class Listener(Protocol):
    """Who hears a source. Both are called on the event loop and return at once."""

    def on_message(self, message: Incoming) -> None:
        """One message came. It must be acknowledged later, or it comes again."""

    def on_connection_lost(self) -> None:
        """What is not acknowledged can no longer be; the broker sends it again."""


class MessageSource(Protocol):
    """A lasting session with a broker that keeps messages until they are acknowledged.

    Nothing is dropped here: messages that nobody reads stay with the broker.
    """

    @property
    def connected(self) -> bool:
        """Whether messages could come now."""

    async def run(self, topics: Sequence[str], listener: Listener) -> None:
        """Subscribes and delivers; reconnects for ever. When cancelled it disconnects in
        order, and the session stays."""

    def acknowledge(self, connection: int, mid: int, qos: int) -> bool:
        """Acknowledges a message; False when the connection that brought it is over. The
        acknowledgements of one connection are given in the order of its messages."""

    def pause(self) -> None:
        """Stops reading; nothing is delivered until `resume`."""

    def resume(self) -> None:
        """Reads again."""


class ReadingLog(Protocol):
    """The log that has the readings."""

    async def places(self, assets: Sequence[str]) -> dict[str, Place]:
        """Where the stream of each asset stands; an asset without any batch is left out."""

    def lane(self, asset: str) -> int:
        """Batches of one lane share a write, and wait for each other; lanes do not."""

    async def write(self, batches: Sequence[ReadingBatch]) -> None:
        """Returns once all are acknowledged; sends again until they are. Raises BrokerError
        when that will never be."""

    async def write_letters(self, letters: Sequence[Letter]) -> None:
        """The same for dead letters."""
