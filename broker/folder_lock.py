"""One Kafka a folder: a lock that the Kafka process itself holds as long as it lives."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.errors import KafkaStartError

# The Kafka of a process that was just killed needs about half a second to end.
_PATIENCE_S = 10.0


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """The descriptor of the folder's lock; a child that inherits it holds the lock too.

    Makes the folder. Raises KafkaStartError when another process holds the lock for long.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, folder)
        yield descriptor
    finally:
        # Closing, not unlocking: an unlock would take the lock from the child as well.
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    limit = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > limit:
                raise KafkaStartError(f"another Kafka runs on {folder}") from None
            time.sleep(0.1)
        else:
            return
