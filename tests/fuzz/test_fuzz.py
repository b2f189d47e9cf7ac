"""A short run of every decoder on bytes that nobody would send; `make fuzz` runs longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.bombs import BOMBS
from tests.fuzz.corpus import FOLDER, read_corpus
from tests.fuzz.runner import fuzz
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

SLOW = {
    "messages": 1_200,
    "models": 4_000,
    "plant": 600,
    "units": 3_000,
    "videos": 1_200,
    "wire": 4_000,
}
RUNS = 12_000


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_the_bytes_it_fails_in_our_words_and_within_its_bounds(
    name: str, tmp_path: Path
) -> None:
    runs = len(read_corpus(FOLDER / name)) + SLOW.get(name, RUNS)
    found = fuzz(name, runs=runs, seconds=100, seed="1", out=tmp_path)
    assert found.found == []
    assert found.executions == runs
    assert found.outcomes > 3


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_made_to_take_much_takes_no_more_than_its_bound(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "bombs"
    folder.mkdir()
    for bomb, data in BOMBS[name]():
        (folder / bomb).write_bytes(data)
    # First of all, what no decoder minds: what it takes is what the process begins with.
    (folder / "!").write_bytes(read_corpus(FOLDER / name)[0][1])
    count = len(list(folder.iterdir()))
    found = fuzz(name, runs=count, seconds=100, seed="1", out=tmp_path / "out", corpus=folder)
    assert found.found == []
    assert found.executions == count


def test_every_seed_is_in_the_corpus() -> None:
    named = {(target, name) for target, name, _ in seeds()}
    assert {target for target, _ in named} == TARGETS.keys()
    assert all((FOLDER / target / name).is_file() for target, name in named)
