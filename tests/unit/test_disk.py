"""The spool on disk: what was synced is there, whatever the file looks like after a crash."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from contracts.errors import SpoolError, SpoolLost, SpoolTaken
from edge.adapters.disk import Claim, DiskSpool
from edge.core.backlog import Note


def notes(first: int, count: int, size: int = 40) -> list[Note]:
    return [
        Note(f"s/{n % 3}", n, n, n, 1, bytes([n % 256]) * size, b"head", n)
        for n in range(first, first + count)
    ]


async def found(file: Path) -> tuple[list[Note], dict[str, int]]:
    spool = DiskSpool(file)
    try:
        return await spool.read(0, 10**9), await spool.bases()
    finally:
        await spool.close()


async def test_what_is_put_is_read_in_its_order_and_removed(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path / "new" / "x.db")
    await spool.change(notes(1, 5), [], {"s/1": 7, "s/2": 9})
    await spool.change(notes(6, 2), [1, 3], {"s/1": 8, "s/2": None})
    assert [note.number for note in await spool.read(0, 10**6)] == [2, 4, 5, 6, 7]
    assert await spool.read(4, 1) == notes(5, 1)
    heads = await spool.heads(2, 2)
    assert [(one.number, one.asset, one.size) for one in heads] == [
        (4, "s/1", notes(4, 1)[0].size),
        (5, "s/2", notes(5, 1)[0].size),
    ]
    await spool.close()
    assert (await found(tmp_path / "new" / "x.db"))[1] == {"s/1": 8}


def copy(source: Path, target: Path, wal: bytes) -> Path:
    """The file with another write-ahead log, as a crash may leave it."""
    shutil.copy(source, target)
    Path(f"{target}-wal").write_bytes(wal)
    return target


async def test_a_crash_at_any_byte_keeps_what_was_synced_and_cuts_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    # Small pages make a short log. CRASH_STRIDE=1 tries every byte of it, in a minute.
    stride = int(os.environ.get("CRASH_STRIDE", "41"))
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA page_size=512")
        db.execute("VACUUM")
    spool = DiskSpool(file)
    await spool.change(notes(1, 1), [], {"s/1": 0})
    wal, ends = Path(f"{file}-wal"), []
    for number in range(2, 6):
        await spool.change(notes(number, 1), [number - 1], {"s/1": number})
        ends.append(wal.stat().st_size)
    whole = wal.read_bytes()
    around = {end + off for end in ends for off in (-1, 0, 1)}
    for end in sorted({*range(ends[0], len(whole) + 1, stride), *around}):
        if not ends[0] <= end <= len(whole):
            continue
        synced = 2 + sum(end >= one for one in ends[1:])
        torn = whole[:end] + b"\xa5" * (len(whole) - end) * (end % 2)
        kept, bases = await found(copy(file, tmp_path / "torn.db", torn))
        assert (kept, bases) == (notes(synced, 1), {"s/1": synced}), end
    await spool.close()


async def test_a_change_is_whole_or_not_at_all(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path / "x.db")
    await spool.change(notes(1, 3), [], {})
    with pytest.raises(SpoolError):
        await spool.change([*notes(4, 2), *notes(2, 1)], [1], {"s/1": 5})
    assert await spool.read(0, 10**6) == notes(1, 3)
    assert await spool.bases() == {}
    await spool.close()


async def test_a_file_that_is_none_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    file.write_bytes(b"no database at all" * 100)
    spool = DiskSpool(file)
    with pytest.raises(SpoolLost):
        await spool.bases()
    await spool.change(notes(1, 1), [], {})
    assert await spool.read(0, 1) == notes(1, 1)
    await spool.close()
    assert (tmp_path / "x.db.damaged").exists()


async def test_space_is_given_back(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    spool = DiskSpool(file)
    await spool.change(notes(1, 100, size=20_000), [], {})
    await spool.shrink()
    full = file.stat().st_size
    await spool.change([], list(range(1, 101)), {})
    await spool.shrink()
    assert file.stat().st_size < full / 10
    await spool.close()


def test_a_folder_belongs_to_one_edge(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "a")
    with pytest.raises(SpoolTaken):
        Claim(tmp_path / "a")
    claim.release()
    Claim(tmp_path / "a").release()
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError):
        Claim(tmp_path / "file")
