"""Every exporter passes the kit, and the kit finds what is broken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from contracts.messages import Account
from contracts.plant import read_plant
from contracts.record import Record
from exporters.core.board import Board
from exporters.core.bounds import Names
from exporters.core.wanted import Wanted
from exporters.ports import Exporter
from tests.conformance.exporter_kit import BROKEN, NOW, ExporterKit

PLANT = Path(__file__).parent.parent / "unit" / "plants" / "good" / "pumping.yaml"


def board() -> Board:
    return Board(Names.of(read_plant(PLANT.read_text())), "vigia")


class TestPrometheusBoard(ExporterKit):
    def make(self) -> Exporter:
        return board()

    def outside(self, exporter: Exporter) -> object:
        assert isinstance(exporter, Board)
        return list(exporter.families(NOW))


class Broken:
    """A board that hands everything on; its heirs each break one promise."""

    def __init__(self) -> None:
        self.inner = board()

    def wants(self) -> tuple[Wanted, ...]:
        return self.inner.wants()

    def apply(self, record: Record, now_us: int, *, live: bool) -> None:
        self.inner.apply(record, now_us, live=live)

    def account(self) -> Mapping[str, Account]:
        return self.inner.account()

    def outside(self) -> object:
        return list(self.inner.families(NOW))


class Blind(Broken):
    """Shows nothing."""

    def outside(self) -> object:
        return ()


class Raising(Broken):
    """Raises for what it cannot read."""

    def apply(self, record: Record, now_us: int, *, live: bool) -> None:
        super().apply(record, now_us, live=live)
        if (record.value or b"") in BROKEN:
            raise ValueError("broken")


class Forgetful(Broken):
    """Drops broken messages without counting them."""

    def account(self) -> Mapping[str, Account]:
        return {
            stage: one.model_copy(update={"dropped": {}})
            for stage, one in super().account().items()
        }


class Counting(Broken):
    """Shows what comes again as if it were new."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def apply(self, record: Record, now_us: int, *, live: bool) -> None:
        before = self.inner.account()
        super().apply(record, now_us, live=live)
        self.seen += before != self.inner.account()

    def outside(self) -> object:
        return self.seen


class LastWins(Broken):
    """Shows the last message of all topics, whatever it is."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def apply(self, record: Record, now_us: int, *, live: bool) -> None:
        super().apply(record, now_us, live=live)
        self.last = record.topic

    def outside(self) -> object:
        return self.last


class Greedy(Broken):
    """Asks for a topic twice."""

    def wants(self) -> tuple[Wanted, ...]:
        return super().wants() * 2


class KitFor(ExporterKit):
    """The kit on one broken exporter; not collected, its name does not begin with Test."""

    def __init__(self, kind: type[Broken]) -> None:
        self.kind = kind

    def make(self) -> Exporter:
        return self.kind()

    def outside(self, exporter: Exporter) -> object:
        assert isinstance(exporter, Broken)
        return exporter.outside()


def failures(kind: type[Broken]) -> set[str]:
    kit, failed = KitFor(kind), set()
    for name in dir(kit):
        if name.startswith("test_"):
            test = getattr(kit, name)
            cases = [(b"{",)] if "broken_messages" in name else [()]
            for case in cases:
                try:
                    test(*case)
                except (AssertionError, ValueError):
                    failed.add(name)
    return failed


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Blind, "test_the_outside_sees_what_came"),
        (Raising, "test_broken_messages_are_counted_and_change_nothing"),
        (Forgetful, "test_broken_messages_are_counted_and_change_nothing"),
        (Counting, "test_what_comes_again_changes_nothing"),
        (LastWins, "test_topics_may_come_in_any_order"),
        (Greedy, "test_it_names_what_it_reads_once"),
    ],
)
def test_the_kit_finds_what_is_broken(kind: type[Broken], expected: str) -> None:
    assert expected in failures(kind)


def test_the_kit_finds_nothing_where_nothing_is_broken() -> None:
    assert failures(Broken) == set()
