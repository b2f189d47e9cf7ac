"""The whole edge without its world: nothing is acknowledged too early, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.headers import NO_TIME
from contracts.messages import Account
from contracts.plant.model import SignalSet
from contracts.readings import Position, Quality, ReadingBatch
from edge.core.batches import Parcel, Place
from edge.core.intake import Incoming, Intake

S = 1_000_000
T0 = 1_700_000_000 * S


def group(**changes: Any) -> SignalSet:
    signals = [
        {"id": name, "topic": f"{{asset}}/{name}", "time": "/t", "time_format": "us"}
        for name in ("x", "y")
    ]
    base = {"rows": {"by": "exact"}, "lateness": "1s", "idle": "5s", "signals": signals}
    return SignalSet.model_validate({**base, **changes})


def intake(now_us: int = T0, *, places: dict[str, Place] | None = None, limit: int = 1000,
           assets: tuple[str, ...] = ("s/a",), **changes: Any) -> Intake:  # fmt: skip
    made = dict.fromkeys(assets, group(**changes))
    return Intake(made, places or {}, now_us=now_us, limit=limit)


def message(topic: str, time_us: int, value: float, *, mid: int = 1, connection: int = 1,
            now_us: int | None = None) -> Incoming:  # fmt: skip
    payload = json.dumps({"t": time_us, "value": value}).encode()
    received_us = max(time_us, T0) if now_us is None else now_us
    return Incoming(topic, payload, 1, mid, connection, received_us)


def row(edge: Intake, time_us: int, value: float = 1.0, asset: str = "a") -> None:
    for name in ("x", "y"):
        edge.receive(message(f"{asset}/{name}", time_us, value))


def write_all(edge: Intake, now_us: int) -> list[ReadingBatch]:
    batches = []
    while parcels := edge.take_due(now_us):
        for parcel in parcels:
            batches.append(parcel.batch)
            edge.written(parcel.batch.asset)
        now_us += S
    return batches


def acknowledged(edge: Intake) -> int:
    count = 0
    while receipt := edge.acks.next_ready():
        edge.acks.settle(receipt, sent=True)
        count += 1
    return count


def balanced(accounts: dict[str, Account]) -> bool:
    return all(account.missing == 0 for account in accounts.values())


def beats(edge: Intake, begin_us: int, end_us: int) -> list[ReadingBatch]:
    """The heartbeats of a silence in which the edge can hear."""
    found = []
    for now_us in range(begin_us, end_us + 1, S // 4):
        for parcel in edge.tick(now_us, attentive=True):
            found.append(parcel.batch)
            edge.written(parcel.batch.asset)
        write_all(edge, now_us)
    return found


def test_a_message_is_acknowledged_when_its_row_is_written() -> None:
    edge = intake()
    edge.receive(message("a/x", T0, 1.0))
    assert edge.take_due(T0) == []
    edge.receive(message("a/y", T0, 2.0))
    (parcel,) = edge.take_due(T0)
    assert acknowledged(edge) == 0
    edge.written(parcel.batch.asset)
    assert acknowledged(edge) == 2


def test_messages_are_acknowledged_in_their_order() -> None:
    edge = intake(assets=("s/a", "s/b"))
    edge.receive(message("a/x", T0, 1.0))
    row(edge, T0, asset="b")
    write_all(edge, T0)
    assert acknowledged(edge) == 0
    edge.receive(message("a/y", T0, 1.0))
    write_all(edge, T0 + S)
    assert acknowledged(edge) == 4


def test_a_broken_message_is_acknowledged_when_its_letter_is_written() -> None:
    edge = intake()
    edge.receive(Incoming("a/x", b"{", 1, 1, 1, T0))
    letters = edge.take_letters()
    assert [(one.topic, one.payload, one.error.reason) for one in letters] == [
        ("a/x", b"{", "not-json")
    ]
    assert acknowledged(edge) == 0
    assert edge.account()["edge.mqtt"].held == 1
    edge.letters_written(letters)
    assert acknowledged(edge) == 1
    account = edge.account()["edge.mqtt"]
    assert (account.gone_out, account.dropped) == (0, {"not-json": 1})


def test_the_year_2099_moves_no_watermark() -> None:
    edge = intake()
    row(edge, T0)
    for name in ("x", "y"):
        edge.receive(message(f"a/{name}", 4_070_908_800 * S, 1.0, now_us=T0))
    (batch,) = write_all(edge, T0)
    assert batch.position.wm_after_us == T0 - S + 1
    assert {letter.error.reason for letter in edge.take_letters()} == {"future"}


def test_what_the_broker_retained_is_not_a_reading_of_now() -> None:
    edge = intake()
    edge.receive(message("a/x", T0, 1.0)._replace(retained=True))
    assert acknowledged(edge) == 1
    assert edge.account()["edge.mqtt"].dropped == {"retained": 1}
    assert edge.account()["edge.rows"].taken_in == 0


def test_a_lost_connection_forgets_receipts_and_its_messages_come_again() -> None:
    edge = intake()
    row(edge, T0)
    assert edge.acks.connection_lost() == 2
    for name in ("x", "y"):
        edge.receive(message(f"a/{name}", T0, 1.0, connection=2))
    assert acknowledged(edge) == 0
    write_all(edge, T0)
    assert acknowledged(edge) == 2
    accounts = edge.account()
    assert accounts["edge.mqtt"].dropped == {"connection-lost": 2}
    assert accounts["edge.rows"].dropped == {"duplicate": 2}
    assert balanced(accounts)


def test_silence_brings_heartbeats_with_rows_that_nobody_measured() -> None:
    edge = intake()
    row(edge, T0)
    write_all(edge, T0)
    found = beats(edge, T0, T0 + 21 * S)
    assert [len(batch.times_us) for batch in found] == [0, 1, 1, 1]
    for batch in found:
        position = batch.position
        assert (batch.quality == Quality.MISSING).all()
        assert position.wm_after_us == position.received_us - 6 * S
        for time_us in batch.times_us.tolist():
            assert position.wm_before_us <= time_us < position.wm_after_us
            assert time_us > position.max_before_us


def test_heartbeat_rows_stand_on_the_grid() -> None:
    edge = intake(rows={"by": "grid", "period": "1s"})
    row(edge, T0)
    write_all(edge, T0)
    times = [t for b in beats(edge, T0, T0 + 21 * S) for t in b.times_us.tolist()]
    assert len(times) == 3
    assert all(time_us % S == 0 for time_us in times)


def test_an_incomplete_row_leaves_when_its_asset_falls_silent() -> None:
    edge = intake()
    edge.receive(message("a/x", T0, 1.0))
    edge.tick(T0 + 6 * S, attentive=True)
    (batch,) = write_all(edge, T0 + 6 * S)
    assert batch.quality.tolist() == [[Quality.GOOD, Quality.MISSING]]
    assert acknowledged(edge) == 1


def test_an_edge_that_cannot_hear_calls_nobody_silent() -> None:
    edge = intake()
    row(edge, T0)
    write_all(edge, T0)
    for second in range(60):
        assert edge.tick(T0 + second * S, attentive=False) == []
    assert edge.tick(T0 + 63 * S, attentive=True) == []
    assert len(edge.tick(T0 + 65 * S, attentive=True)) == 1


def test_an_asset_that_never_spoke_has_no_event_time_and_no_heartbeat() -> None:
    edge = intake()
    assert beats(edge, T0, T0 + 20 * S) == []
    assert {change.after for change in edge.look(T0 + 20 * S)} == {"silent"}


def test_a_source_whose_clock_is_an_hour_behind_is_not_overtaken() -> None:
    edge, behind = intake(), 3600 * S
    for name in ("x", "y"):
        edge.receive(message(f"a/{name}", T0 - behind, 1.0, now_us=T0))
    write_all(edge, T0)
    last = beats(edge, T0, T0 + 30 * S)[-1]
    assert last.position.wm_after_us <= T0 - behind + 30 * S - 6 * S


def test_heartbeats_go_on_after_a_restart() -> None:
    place = Place(Position(7, T0 - 2 * S, T0 - S, T0, T0), newest_us=T0)
    edge = intake(T0 + 60 * S, places={"s/a": place})
    (first, *_) = beats(edge, T0 + 60 * S, T0 + 70 * S)
    assert first.position.sequence == 8
    assert first.position.wm_before_us == T0 - S
    assert first.newest_us < first.position.wm_after_us <= T0 + 60 * S


def test_rows_that_wait_for_messages_that_may_not_come_are_let_go() -> None:
    edge = intake(limit=3)
    for number in range(3):
        edge.receive(message("a/x", T0 + number, 1.0, mid=number))
    assert edge.acks.full and edge.stalled
    edge.tick(T0, attentive=False)
    write_all(edge, T0)
    assert acknowledged(edge) == 3


def test_large_payloads_fill_the_edge_before_many_do() -> None:
    edge = intake(limit=1000)
    edge.acks.limit_bytes = 100
    assert not edge.acks.full
    for number in range(3):
        edge.receive(message("a/x", T0 + number, 1.0))
    assert edge.acks.full


@dataclass
class World:
    """An MQTT broker, a Kafka and a network as they may behave."""

    edge: Intake
    now_us: int = T0
    connection: int = 1
    kept: list[tuple[str, int, float]] = field(default_factory=list)
    written: set[tuple[str, int, str]] = field(default_factory=set)
    under_way: list[Parcel] = field(default_factory=list)
    batches: list[ReadingBatch] = field(default_factory=list)
    mid: int = 0
    owned: dict[int, tuple[str, int, float]] = field(default_factory=dict)

    def publish(self, asset: str, name: str, offset: int, value: float) -> None:
        one = (f"{asset}/{name}", T0 + offset, value)
        self.kept.append(one)
        self._deliver(one)

    def _deliver(self, one: tuple[str, int, float]) -> None:
        self.mid += 1
        self.owned[self.mid] = one
        topic, time_us, value = one
        self.edge.receive(
            message(
                topic, time_us, value, mid=self.mid, connection=self.connection, now_us=self.now_us
            )
        )

    def send(self) -> None:
        self.under_way += self.edge.take_due(self.now_us)

    def kafka(self) -> None:
        for parcel in self.under_way:
            self._note(parcel.batch)
            self.edge.written(parcel.batch.asset)
        self.under_way.clear()
        while receipt := self.edge.acks.next_ready():
            self.edge.acks.settle(receipt, sent=True)
            self._acknowledged(self.owned[receipt.mid])

    def _note(self, batch: ReadingBatch) -> None:
        self.batches.append(batch)
        asset = batch.asset.split("/")[1]
        for time_us, quality in zip(batch.times_us, batch.quality, strict=True):
            for name, code in zip(("x", "y"), quality, strict=True):
                if code == Quality.GOOD:
                    self.written.add((f"{asset}/{name}", int(time_us), name))

    def _acknowledged(self, one: tuple[str, int, float]) -> None:
        topic, time_us, _ = one
        self.kept.remove(one)
        known = (topic, time_us, topic[-1]) in self.written
        # Otherwise it was one that the rules drop: its row left without it.
        assert known or any(
            time_us in batch.times_us for batch in self.batches if batch.asset == f"s/{topic[0]}"
        )

    def reconnect(self) -> None:
        self.edge.acks.connection_lost()
        self.connection += 1
        for one in list(self.kept):
            self._deliver(one)

    def wait(self, us: int) -> None:
        self.now_us += us
        self.under_way += self.edge.tick(self.now_us, attentive=True)


publishing = st.tuples(
    st.just("publish"),
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from("xy"),
        st.sampled_from([0, S // 2, S, 2 * S, 9 * S]),
        st.sampled_from([1.0, 2.0]),
    ),
)
others = st.tuples(st.sampled_from(["send", "kafka", "reconnect"]), st.just(()))
waiting = st.tuples(st.just("wait"), st.tuples(st.sampled_from([S // 4, 3 * S, 9 * S])))


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(publishing | publishing | others | waiting, max_size=40))
def test_whatever_happens_each_message_is_written_before_it_is_acknowledged(
    steps: list[tuple[str, Any]],
) -> None:
    world = World(intake(assets=("s/a", "s/b")))
    for name, arguments in steps:
        action: Callable[..., None] = getattr(world, name)
        action(*arguments)
        assert balanced(world.edge.account())
    for _ in range(8):
        world.wait(9 * S)
        world.send()
        world.kafka()
    assert world.kept == []
    assert all(account.held == 0 for account in world.edge.account().values())
    _check_chain(world.batches)


def _check_chain(batches: list[ReadingBatch]) -> None:
    for asset in ("s/a", "s/b"):
        mine = [batch for batch in batches if batch.asset == asset]
        mark_us, newest_us = NO_TIME, NO_TIME
        for number, batch in enumerate(mine):
            assert batch.position.sequence == number
            assert batch.position.wm_before_us == mark_us
            assert batch.position.max_before_us == newest_us
            mark_us = batch.position.wm_after_us
            newest_us = max(newest_us, batch.newest_us)
        times = [time_us for batch in mine for time_us in batch.times_us.tolist()]
        assert len(times) == len(set(times))
