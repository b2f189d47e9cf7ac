"""When what lies on disk is taken up: by content, once it stands still, and once for each fault."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from broker.plant_disk import PACKAGE, Found, PlantDisk
from broker.plant_kept import Begun
from broker.plant_watch import PlantWatcher
from contracts.errors import ConfigError, ModelError
from contracts.plant import Plant, read_plant
from contracts.plant.watch import Watch, fixed_changes
from contracts.texts import note_text

PLANT = """
vigia: 1
kafka: {{partitions: {partitions}}}
sites: [{{id: s, assets: [{{id: a, signals: x}}]}}]
signal_sets: {{x: {{signals: [{{id: p, topic: t}}]}}}}
detectors:
  - {{id: high, kind: limit, window: {{width: 1s, hop: 1s}}, signal: p, high: {high}}}
  - {{id: odd, kind: autoencoder, window: {{width: 1s, hop: 1s}}, package: model}}
"""


def text(high: object = 1, partitions: int = 4) -> str:
    return PLANT.format(high=high, partitions=partitions)


#    what is found at each look, and at which looks it is tried (where it is refused in between)
CASES = [
    ("nothing new", "AAA", ""),
    ("stands still", "ABBB", "2"),
    ("half written", "ABCDD", "4"),
    ("there and back", "ABAA", ""),
    ("moves on", "ABCBCB", ""),
]


@pytest.mark.parametrize(("found", "tried"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_is_tried(found: str, tried: str) -> None:
    watch = Watch("A")
    seen = []
    for at, content in enumerate(found):
        if watch.look(content):
            seen.append(str(at))
            watch.take(content)
    assert "".join(seen) == tried
    assert watch.taken == len(tried)
    assert not watch.use("h").differs or found[-1] != watch.running


def test_what_is_refused_is_said_once_and_forgotten_when_it_is_gone() -> None:
    watch = Watch("A")
    assert [watch.look(content) for content in "BBB"] == [False, True, True]
    watch.refuse("B", "why")
    assert [watch.look(content) for content in "BBB"] == [False] * 3
    assert (watch.why, watch.refused, watch.use("h").differs) == ("why", 1, True)
    assert not watch.look("A")
    assert (watch.why, watch.use("h").differs) == ("", False)
    assert [watch.look(content) for content in "BB"] == [False, True], "it is tried anew"


def test_what_takes_a_restart_is_named() -> None:
    old, new = read_plant(text()), read_plant(text(high=2, partitions=8))
    (line,) = fixed_changes(old, new)
    assert line.startswith("kafka.partitions: expected 4, as when this process started, got 8")
    assert fixed_changes(old, read_plant(text(high=2))) == ()


class Process:
    """A process that works by a plant file, and whose models are refused where they are `bad`."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "plant.yaml"
        self.model = folder / "model" / "model.onnx"
        self.model.parent.mkdir()
        for name in PACKAGE:
            (self.model.parent / name).write_bytes(b"one")
        self.file.write_text(text())
        self.used: list[float | None] = []
        self.state = folder / "state"
        self.begin()

    def begin(self) -> None:
        disk = PlantDisk(self.file, models=True)
        begun, _ = Begun.of(disk, self.state, self._build)
        self.watcher = PlantWatcher(begun, self._build, self._take)

    def _build(self, plant: Plant, found: Found) -> Plant:
        if b"bad" in (found.folders["model"] / "model.onnx").read_bytes():
            raise ModelError("model: bad")
        return plant

    async def _take(self, plant: Plant) -> None:
        self.used.append(getattr(plant.detectors[0], "high", None))

    async def look(self, times: int = 2) -> None:
        for _ in range(times):
            await self.watcher.look()


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


async def test_another_plant_file_is_taken_up_after_two_looks(process: Process) -> None:
    await process.look()
    assert process.used == []
    process.file.write_text(text(high=2))
    await process.look(1)
    assert process.used == []
    await process.look(3)
    assert process.used == [2]
    assert process.watcher.use().hash == read_plant(text(high=2)).hash


async def test_another_model_of_the_same_length_and_time_is_seen(process: Process) -> None:
    entry = process.model.stat()
    process.model.write_bytes(b"two")
    os.utime(process.model, ns=(entry.st_atime_ns, entry.st_mtime_ns))
    await process.look()
    assert process.used == [1]


async def test_a_link_that_points_elsewhere_is_seen(process: Process, tmp_path: Path) -> None:
    """As containers get their configuration: all files through one link, changed in one step."""
    for name, high in (("v1", 1), ("v2", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "plant.yaml").write_text(text(high=high))
    current, beside = tmp_path / "current", tmp_path / "beside"
    current.symlink_to("v1")
    process.file.unlink()
    process.file.symlink_to("current/plant.yaml")
    await process.look()
    assert process.used == [], "the same content is nothing new"
    beside.symlink_to("v2")
    beside.rename(current)
    await process.look()
    assert process.used == [3]


#     what is put there, and what is said
FAULTS = [
    ("no yaml", "}", "line 1: (file)"),
    ("no number", text(high="lots"), "line 7: detectors[0].high"),
    ("an unknown key", text() + "alarm: []\n", "alarm: this key is not known here"),
    ("what takes a restart", text(partitions=8), "kafka.partitions: expected 4"),
    ("nothing", None, "cannot be read: No such file or directory"),
]


@pytest.mark.parametrize(("content", "said"), [c[1:] for c in FAULTS], ids=[c[0] for c in FAULTS])
async def test_a_bad_plant_file_is_refused_and_said(
    process: Process, content: str | None, said: str
) -> None:
    if content is None:
        process.file.unlink()
    else:
        process.file.write_text(content)
    await process.look(4)
    assert process.used == []
    assert process.watcher.use().refused == 1
    (note,) = process.watcher.notes()
    assert said in note
    assert note_text(note, "es").startswith("el archivo de planta o un modelo en disco se rechaza")
    assert said in note_text(note, "es")
    process.file.write_text(text(high=5))
    await process.look()
    assert process.used == [5]
    assert process.watcher.notes() == ()


async def test_a_bad_model_is_refused_and_a_good_one_taken(process: Process) -> None:
    process.model.write_bytes(b"bad")
    await process.look(3)
    assert (process.used, process.watcher.use().refused) == ([], 1)
    assert process.watcher.notes()[0].endswith("model: bad")
    process.model.write_bytes(b"good")
    await process.look()
    assert process.used == [1]


async def test_what_changes_while_it_is_built_is_looked_at_again(process: Process) -> None:
    process.file.write_text(text(high=2))
    await process.look(1)
    slow = process.watcher.build

    def build(plant: Plant, found: Found) -> Plant:
        if plant.detectors[0].model_dump()["high"] == 2:
            process.file.write_text(text(high=3))
        return slow(plant, found)

    process.watcher.build = build
    await process.look(1)
    assert process.used == []
    await process.look(1)
    assert process.used == [3]


async def test_who_starts_while_a_bad_one_lies_there_goes_on_by_the_one_before(
    process: Process,
) -> None:
    process.watcher.begun.keep(process.watcher.begun.found)
    process.file.write_text(text(high=2))
    await process.look()
    process.model.write_bytes(b"bad")
    process.begin()
    assert process.watcher.plant == read_plant(text(high=2))
    assert process.watcher.begun.found.folders["model"].is_relative_to(process.state)
    await process.look(3)
    assert process.watcher.use().refused == 1
    assert process.watcher.notes()[0].endswith("model: bad")
    process.file.write_text("}")
    process.begin()
    assert process.watcher.plant == read_plant(text(high=2))
    process.model.write_bytes(b"good")
    process.file.write_text(text(high=7))
    await process.look()
    assert process.used == [2, 7]


def test_without_a_copy_it_does_not_start(process: Process) -> None:
    process.file.write_text("}")
    with pytest.raises(ConfigError, match=r"line 1: \(file\)"):
        process.begin()


def test_a_copy_that_was_cut_off_leaves_the_one_before(process: Process) -> None:
    begun = process.watcher.begun
    begun.keep(begun.found)
    (process.state / "last").rename(process.state / "before")
    (process.state / "new").mkdir()
    process.file.write_text("}")
    process.begin()
    assert process.watcher.plant == read_plant(text())


def test_a_copy_that_cannot_be_written_ends_nothing(process: Process) -> None:
    process.state.write_text("no folder")
    process.watcher.begun.keep(process.watcher.begun.found)
    assert process.state.is_file()
