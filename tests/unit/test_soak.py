"""What the soak compares: a process with itself, by medians of minutes."""

from __future__ import annotations

import pytest

from tests.soak.box import name_of
from tests.soak.faults import BEGIN, END, ENDING, LAST_END, STRIKES, plan
from tests.soak.growth import SPARE, Life, lives
from tests.soak.samples import Sample

MINUTES = 30


def at(minute: float, rss: int, *, pid: int = 1, threads: int = 5, sockets: int = 3) -> Sample:
    files = {"file": 2, "socket": sockets}
    return Sample(60 * minute, "edge", pid, rss, rss, rss, threads, files)


def only(samples: list[Sample]) -> Life:
    (life,) = lives(samples, 60 * MINUTES)
    return life


def test_its_fifth_minute_is_compared_with_its_last() -> None:
    sizes = [500] * 5 + [100] + [900] * 23 + [103, 105]
    life = only([at(minute, rss) for minute, rss in enumerate(sizes)])
    assert life.early is not None and life.late is not None
    assert (life.early.rss, life.late.rss) == (100, 104)
    assert life.growth == pytest.approx(0.04)
    assert life.holds()


def test_one_that_was_started_later_is_compared_by_its_own_age() -> None:
    sizes = [500] * 5 + [100] + [900] * 8 + [110, 110]
    life = only([at(10 + minute, rss) for minute, rss in enumerate(sizes)])
    assert life.growth == pytest.approx(0.10)
    assert not life.holds()


def test_a_moment_is_no_growth() -> None:
    sizes = {5.0: 900, 29.5: 900}
    life = only([at(step / 10, sizes.get(step / 10, 100)) for step in range(10 * MINUTES + 1)])
    assert life.growth == 0 and life.most.rss == 900


@pytest.mark.parametrize(
    ("what", "holds"),
    [
        ({"threads": 5 + SPARE}, True),
        ({"threads": 6 + SPARE}, False),
        ({"sockets": 3 + SPARE}, True),
        ({"sockets": 4 + SPARE}, False),
        ({"rss": 104}, True),
        ({"rss": 106}, False),
        ({"rss": 94}, False),
    ],
)
def test_what_is_growth(what: dict[str, int], holds: bool) -> None:
    before = [at(minute, 100) for minute in range(20)]
    after = [at(minute, **{"rss": 100, **what}) for minute in range(20, MINUTES + 1)]
    assert only(before + after).holds() is holds


def test_a_short_life_is_told_and_not_compared() -> None:
    killed = [at(minute, 100 + minute) for minute in range(10)]
    after = [at(minute, 100, pid=2) for minute in range(10, MINUTES + 1)]
    first, second = lives(killed + after, 60 * MINUTES)
    assert (first.early, first.late, first.growth) == (None, None, None)
    assert (first.begun_s, first.ended_s, first.most.rss) == (0, 540, 109)
    assert second.growth == 0


def test_the_plan_is_drawn_by_the_seed_and_lets_processes_settle() -> None:
    planned = plan(7, 1800)
    assert planned == plan(7, 1800) != plan(8, 1800)
    moments = [at_s / 1800 for at_s, _ in planned]
    assert moments == sorted(moments) and moments[0] >= BEGIN and moments[-1] <= END
    assert {kind for _, kind in planned} == set(STRIKES)
    assert {kind for _, kind in planned[: len(ENDING)]} == set(ENDING)
    assert max(at_s for at_s, kind in planned if kind in ENDING) < LAST_END * 1800


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python -P -m vigia stream worker --plant p --instance box-2 --kafka k", "worker-2"),
        ("python -P -m vigia edge run --plant p --instance box", "edge"),
        ("python -P -m vigia exporters prometheus --instance box --port 1", "exporter"),
        ("python -I -S -c launcher", None),
    ],
)
def test_processes_are_known_by_their_commands(command: str, name: str | None) -> None:
    assert name_of(command.split()) == name
