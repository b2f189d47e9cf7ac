"""The spool on disk: a SQLite database in WAL mode, each change of it synced before it counts."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from contracts.errors import SpoolError, SpoolLost, SpoolTaken
from edge.core.backlog import Entry, Note

_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# Exclusive: without shared memory beside the file, which a full disk would refuse to an edge that
# only wants to read what it has.
_SETTINGS = (
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
)
_TABLES = (
    "CREATE TABLE IF NOT EXISTS notes (number INTEGER PRIMARY KEY, asset TEXT, units INTEGER,"
    " size INTEGER, received_us INTEGER, wm_us INTEGER, newest_us INTEGER, head BLOB, value BLOB)",
    "CREATE TABLE IF NOT EXISTS bases (asset TEXT PRIMARY KEY, sequence INTEGER) WITHOUT ROWID",
)
_ADD = "INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_HEADS = (
    "SELECT number, asset, units, size, received_us FROM notes WHERE number > ? ORDER BY number"
)
_READ = (
    "SELECT asset, wm_us, newest_us, received_us, units, value, head, number FROM notes"
    " WHERE number > ? ORDER BY number"
)
T = TypeVar("T")


class Claim:
    """The folder of one edge's spools, for this process alone as long as it lives."""

    def __init__(self, folder: Path) -> None:
        """Raises SpoolTaken when another process has it, SpoolError when it cannot be used."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SpoolTaken(f"{folder}: another edge works there") from error
        except OSError as error:
            raise SpoolError(f"{folder}: {error.strerror}") from error

    def release(self) -> None:
        """Another edge may have it."""
        os.close(self._lock)


class DiskSpool:
    """A Spool in one file. One thread uses it: a disk that takes seconds holds up no loop.

    A fault closes the file; the next use opens it anew, and finds what was synced before.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._db: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")

    async def bases(self) -> dict[str, int]:
        """See Spool."""
        return await self._do(lambda db: dict(db.execute("SELECT asset, sequence FROM bases")))

    async def heads(self, after: int, count: int) -> list[Entry]:
        """See Spool."""
        query = f"{_HEADS} LIMIT ?"
        return await self._do(lambda db: [Entry(*row) for row in db.execute(query, (after, count))])

    async def read(self, after: int, most_bytes: int) -> list[Note]:
        """See Spool."""
        return await self._do(lambda db: list(_bounded(db, after, most_bytes)))

    async def change(
        self,
        add: Sequence[Note],
        remove: Sequence[int],
        bases: Mapping[str, int | None],
    ) -> None:
        """See Spool."""
        await self._do(lambda db: _change(db, add, remove, bases))

    async def shrink(self) -> None:
        """See Spool. To be called when little is left."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        await self._do(work)

    async def close(self) -> None:
        """Ends its work."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def leave(self) -> None:
        """Goes on in another file, since this one cannot be read: what is in it stays for an edge
        that can."""
        number = 1
        while os.path.exists(file := self._file.with_suffix(f".{number}.db")):
            number += 1
        self._file = file

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def guarded() -> T:
            try:
                return work(self._opened())
            except (sqlite3.Error, OSError) as error:
                self._close()
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT:
                    self._set_aside()
                    raise SpoolLost(f"{self._file}: {error}; set aside") from error
                raise SpoolError(f"{self._file}: {error}") from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._file, isolation_level=None)
            self._db = db
            for statement in (*_SETTINGS, *_TABLES):
                db.execute(statement).fetchall()
        return self._db

    def _close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            # A disk that fails may fail here too; what was synced is there all the same.
            with contextlib.suppress(sqlite3.Error):
                db.close()

    def _set_aside(self) -> None:
        for suffix in ("", "-wal"):
            file = Path(f"{self._file}{suffix}")
            with contextlib.suppress(OSError):
                file.replace(f"{self._file}.damaged{suffix}")


def _change(
    db: sqlite3.Connection,
    add: Sequence[Note],
    remove: Sequence[int],
    bases: Mapping[str, int | None],
) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.executemany("DELETE FROM notes WHERE number = ?", [(number,) for number in remove])
    db.executemany(_ADD, map(_row, add))
    gone = [(asset,) for asset, base in bases.items() if base is None]
    there = [(asset, base) for asset, base in bases.items() if base is not None]
    db.executemany("DELETE FROM bases WHERE asset = ?", gone)
    db.executemany("INSERT OR REPLACE INTO bases VALUES (?, ?)", there)
    db.execute("COMMIT")


def _row(note: Note) -> tuple[int, str, int, int, int, int, int, bytes, bytes]:
    return (
        note.number,
        note.asset,
        note.units,
        note.size,
        note.received_us,
        note.wm_us,
        note.newest_us,
        note.head,
        note.value,
    )


def _bounded(db: sqlite3.Connection, after: int, most_bytes: int) -> Iterator[Note]:
    size = 0
    for row in db.execute(_READ, (after,)):
        note = Note(*row)
        size += note.size
        yield note
        if size >= most_bytes:
            return
