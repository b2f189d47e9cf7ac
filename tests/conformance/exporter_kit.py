"""What every exporter must do, whatever it shows and where.

A test class of an exporter inherits ExporterKit, says how to make one, and what its outside
would see: `outside` is anything that compares equal when the outside sees the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from contracts.messages import Phase, Transition
from contracts.record import Outgoing, Record
from exporters.ports import Exporter
from tests import samples
from tests.samples import T0, S

NOW = T0 + 40 * S


def stream() -> list[Record]:
    """A little of everything that goes over the topics, in the order of each partition."""
    sent = [samples.outgoing(samples.status(at_us=T0 + second * S)) for second in range(3)]
    sent += [
        samples.outgoing(samples.detections()),
        samples.outgoing(samples.detections(samples.detection(T0 + 35 * S, 0.01))),
        samples.outgoing(samples.detections(samples.detection(T0 + 40 * S, None))),
        samples.outgoing(samples.alarm(Phase.PENDING, T0 + 30 * S)),
        samples.outgoing(samples.alarm(Phase.ACTIVE, T0 + 35 * S)),
        samples.outgoing(samples.alert(Transition.RAISED, T0 + 35 * S)),
        samples.outgoing(samples.alarm(Phase.NORMAL, T0 + 40 * S)),
        samples.outgoing(samples.alert(Transition.CLEARED, T0 + 40 * S)),
        samples.letter(1),
        samples.letter(2, "field"),
    ]
    return numbered(sent)


def numbered(sent: Iterable[Outgoing]) -> list[Record]:
    """Records with offsets, each topic's from 0."""
    found: list[Record] = []
    for out in sent:
        offset = sum(one.topic == out.topic for one in found)
        found.append(samples.record(out, offset))
    return found


BROKEN = [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"asset": 1}', b"0" * 5000, b'{"a":' * 2000]


class ExporterKit:
    """The tests; `make` and `outside` are given by the class that inherits."""

    def make(self) -> Exporter:
        """A new exporter for the plant file tests/unit/plants/good/pumping.yaml, prefix vigia."""
        raise NotImplementedError

    def outside(self, exporter: Exporter) -> object:
        """What the outside has seen of it at NOW."""
        raise NotImplementedError

    def fed(self, records: Iterable[Record], *, live: bool = True) -> Exporter:
        exporter = self.make()
        wanted = {f"vigia.{one.topic.name}" for one in exporter.wants()}
        for record in records:
            if record.topic in wanted:
                exporter.apply(record, NOW, live=live)
        return exporter

    def balanced(self, exporter: Exporter) -> int:
        """Checks the books; how much went in."""
        books = exporter.account()
        assert books, "an exporter that takes messages accounts for them"
        for stage, account in books.items():
            assert account.missing == 0, f"{stage}: {account.missing} unaccounted"
            assert min(account.taken_in, account.gone_out, account.held) >= 0
        return sum(account.taken_in for account in books.values())

    def test_it_names_what_it_reads_once(self) -> None:
        wants = self.make().wants()
        assert wants
        assert len({wanted.topic.name for wanted in wants}) == len(wants)

    def test_the_outside_sees_what_came(self) -> None:
        assert self.outside(self.fed(stream())) != self.outside(self.make())

    def test_everything_that_came_is_accounted_for(self) -> None:
        exporter = self.make()
        assert self.balanced(exporter) == 0
        for taken, record in enumerate(stream(), start=1):
            exporter.apply(record, NOW, live=True)
            assert self.balanced(exporter) == taken

    @pytest.mark.parametrize("value", [None, *BROKEN], ids=range(len(BROKEN) + 1))
    def test_broken_messages_are_counted_and_change_nothing(self, value: bytes | None) -> None:
        before = self.outside(self.fed(stream()))
        exporter = self.fed(stream())
        sound = self.balanced(exporter)
        for record in stream():
            if not record.topic.endswith("dead-letters"):  # those hold broken bytes by nature
                again = replace(record, key=b"\xff", value=value, headers=[("ce_x", b"\xff")])
                exporter.apply(again, NOW, live=True)
        assert self.balanced(exporter) > sound
        assert self.outside(exporter) == before

    def test_a_topic_that_it_does_not_know_is_counted_and_changes_nothing(self) -> None:
        exporter = self.fed(stream())
        before, sound = self.outside(exporter), self.balanced(exporter)
        for topic in ("else.detections", "vigia.nothing", "vigia.readings"):
            exporter.apply(replace(stream()[0], topic=topic), NOW, live=True)
        assert self.balanced(exporter) == sound + 3
        assert self.outside(exporter) == before

    def test_what_comes_again_changes_nothing(self) -> None:
        once, twice = self.fed(stream()), self.fed(stream())
        for record in stream():
            twice.apply(record, NOW, live=True)
        self.balanced(twice)
        assert self.outside(twice) == self.outside(once)

    def test_topics_may_come_in_any_order(self) -> None:
        shuffled = sorted(stream(), key=lambda record: record.topic)
        backwards = sorted(stream(), key=lambda record: record.topic, reverse=True)
        assert self.outside(self.fed(shuffled)) == self.outside(self.fed(backwards))

    def test_the_present_is_the_same_for_one_who_comes_later(self) -> None:
        """History gives the same state; what is news to those who saw it is none to him."""
        late = self.fed(stream(), live=False)
        again = self.fed([*stream(), *stream()], live=False)
        self.balanced(late)
        assert self.outside(again) == self.outside(late)
