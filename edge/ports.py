"""What the edge needs of its world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from contracts.errors import SourceError
from contracts.readings import ReadingBatch
from edge.core.backlog import Entry, Note, Posted
from edge.core.batches import Place
from edge.core.frame_chain import FrameParcel
from edge.core.intake import Incoming, Letter


class Unauthorised(SourceError):
    """The camera wants another user or password."""


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
        """Subscribes and delivers; a topic may end in `/+`, for any word there. Reconnects for
        ever. When cancelled it disconnects in order, and the session stays."""

    def acknowledge(self, connection: int, mid: int, qos: int) -> bool:
        """Acknowledges a message; False when the connection that brought it is over. The
        acknowledgements of one connection are given in the order of its messages."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends a message of ours, once at most; without a connection it is lost."""

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

    async def write(self, batches: Sequence[ReadingBatch]) -> frozenset[str]:
        """Returns once all are safe; sends again until they are. The assets whose batches are on
        disk and not in Kafka yet. Raises BrokerError when one will never be taken."""

    async def write_letters(self, letters: Sequence[Letter]) -> None:
        """The same for dead letters."""


class Shot(Protocol):
    """A frame as it came from a decoder, of which most are never looked at."""

    @property
    def source_us(self) -> int | None:
        """When the camera says that it took it; None where nothing is said."""

    def luminance(self) -> NDArray[Any]:
        """Its brightness as it was decoded, to be compared with that of the next one:
        [rows, columns] or [rows, columns, channels]. Cheap. Raises SourceError."""

    def image(self, enough: tuple[int, int] | None = None) -> NDArray[Any]:
        """Its pixels, uint8 or uint16: [rows, columns], or [rows, columns, BGR]. Where less than
        all is `enough`, (width, height), it may be reduced, to that and not below. Raises
        SourceError."""


class CameraSource(Protocol):
    """A camera, or files in its place. One thread uses it, and may be blocked by it."""

    @property
    def ends(self) -> bool:
        """Whether the end of its frames is the end for good, and not a loss."""

    @property
    def codec(self) -> str:
        """How its frames are coded, once it gave one: `h264`."""

    def shots(self) -> Iterator[Shot]:
        """One session: opens, gives frames as fast as they come, and closes when it is closed.
        The end is a loss, unless `ends`. Raises SourceError whose text has no secret;
        Unauthorised when another password is needed. May be called again after either."""


class FrameLog(Protocol):
    """The log that has the frames."""

    async def places(self, assets: Sequence[str]) -> dict[str, Place]:
        """Where the stream of each asset stands; an asset without any frame is left out."""

    async def write(self, parcel: FrameParcel) -> bool:
        """Returns once it is safe; sends again until it is. Whether it is on disk and not in
        Kafka yet. Raises MessageTooLarge when it will never be taken, BrokerError when none
        will."""


class Post(Protocol):
    """What carries notes of one kind to Kafka."""

    async def post(self, posted: Sequence[Posted]) -> None:
        """Returns once all are acknowledged, sends again until they are. Raises as a log does."""


class Spool(Protocol):
    """Notes on disk, in the order of their numbers. Each method raises SpoolError when it did
    nothing, SpoolLost when all that was there is lost."""

    async def bases(self) -> dict[str, int]:
        """What `change` was told last of each asset."""

    async def heads(self, after: int, count: int) -> list[Entry]:
        """The first notes with a number above `after`, `count` at most, without their bytes."""

    async def read(self, after: int, most_bytes: int) -> list[Note]:
        """The first notes with a number above `after`: about `most_bytes` of them, one at least if
        there is any."""

    async def change(
        self, add: Sequence[Note], remove: Sequence[int], bases: Mapping[str, int | None]
    ) -> None:
        """Returns once all of it is on disk, and survives whatever ends the process. `bases` are
        set, and forgotten where None."""

    async def shrink(self) -> None:
        """Gives free space back. To be called when little is left."""

    async def close(self) -> None:
        """Ends its work."""

    def leave(self) -> None:
        """Goes on elsewhere, since what is there cannot be read."""
