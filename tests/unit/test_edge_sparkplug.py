"""Sparkplug B: what a payload holds, by vectors of another implementation; and which messages of a
node are believed, as its specification has it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from contracts.plant.model import SignalSet
from edge.core.intake import Incoming, Intake
from edge.core.nodes import Nodes, Order
from edge.core.payload import Parsed, PayloadError
from edge.core.protobuf import NotProtobuf, field, fields
from edge.core.sparkplug import NoValue, number_of, read_payload, rebirth
from tests.sparkplug import T_MS, VECTORS, death, metric, payload, single, vector

MS = 1_000
NOW = T_MS * MS + 5_000_000
NUMBERS = {
    "int8": -5.0,
    "int8-short": -5.0,
    "int16": -300.0,
    "int32": -70_000.0,
    "int64": -5_000_000_000.0,
    "uint8": 250.0,
    "uint16": 65_000.0,
    "uint32": 4_000_000_000.0,
    "uint32-long": 4_000_000_000.0,
    "uint64": 2.0**53,
    "float": 0.5,
    "double": -1e-3,
    "boolean": 1.0,
}


def test_each_data_type_as_another_implementation_writes_it() -> None:
    found: dict[str, float] = {}
    refused: dict[str, str] = {}
    for one in read_payload(vector("types")).metrics:
        assert one.name is not None
        try:
            found[one.name] = number_of(one, one.datatype, one.name)
        except PayloadError as error:
            refused[one.name] = error.reason
    assert found == NUMBERS
    wrong = dict.fromkeys(("string", "date", "nan", "bytes"), "type")
    assert refused == {**wrong, "null": "null"}


def test_a_birth_and_its_data_as_another_implementation_writes_them() -> None:
    birth = read_payload(vector("nbirth"))
    assert (birth.seq, birth.time_ms, len(birth.metrics)) == (0, T_MS, 4)
    volts = birth.metrics[2]
    told = (volts.name, volts.alias, volts.time_ms, volts.datatype, volts.value)
    assert told == ("Supply/Volts", 1, T_MS - 250, 9, 24.5)
    (data,) = read_payload(vector("ndata")).metrics
    assert (data.name, data.alias, data.datatype, data.value) == (None, 1, None, 24.25)


def test_a_value_that_its_sender_calls_stale_is_none() -> None:
    (one,) = read_payload(vector("extras")).metrics
    assert (one.value, one.quality) == (1.0, 500)
    with pytest.raises(NoValue, match="500"):
        number_of(one, 9, "Supply/Volts")
    good = field(1, b"Other") + field(1, b"Quality")
    good += field(2, field(3, 0)) + field(2, field(3, 192))
    (one,) = read_payload(payload(0, single(1.0, 1, T_MS) + field(9, good))).metrics
    assert number_of(one, 9, "Supply/Volts") == 1.0


def test_what_is_written_is_what_another_implementation_writes() -> None:
    assert rebirth(T_MS * MS) == vector("rebirth")
    assert death(7) == vector("ndeath")
    one = single(24.25, 1, T_MS + 1000)
    assert payload(2, one, time_ms=T_MS + 1000) == vector("ndata")


@pytest.mark.parametrize("name", VECTORS)
def test_a_payload_that_is_cut_anywhere_is_refused_or_shorter(name: str) -> None:
    whole = vector(name)
    for end in range(len(whole)):
        try:
            cut = read_payload(whole[:end])
        except NotProtobuf:
            continue
        assert len(cut.metrics) <= len(read_payload(whole).metrics)


@pytest.mark.parametrize(
    "data",
    [b"\0\0", b"\x0b", b"\xff" * 11, b"\x12\xff\xff\xff\xff\x0f", b"\x0a\1x", b"\x12\3\x0a\1\xff"],
)
def test_what_is_no_payload_is_refused(data: bytes) -> None:
    with pytest.raises(NotProtobuf):
        read_payload(data)


def test_fields_are_read_one_by_one() -> None:
    assert list(fields(b"\x08\x96\x01\x12\x02hi")) == [(1, 0, 150), (2, 2, b"hi")]


def signal(name: str, **where: str) -> dict[str, Any]:
    return {"id": name, "sparkplug": {"group": "{site}", "node": "n1", **where}}


GROUP = SignalSet.model_validate(
    {
        "rows": {"by": "exact"},
        "signals": [
            signal("volts", metric="Supply/Volts"),
            signal("flow", device="{asset}", metric="Flow"),
            {**signal("level", device="{asset}", metric="Level"), "unit": "m", "source_unit": "mm"},
        ],
    }
)
VOLTS, FLOW, LEVEL = ("g/d1", 0), ("g/d1", 1), ("g/d1", 2)


class Host:
    """The nodes of a plant of one asset, and what they sent."""

    def __init__(self) -> None:
        self.nodes = Nodes({"g/d1": GROUP})

    def hear(self, kind: str, data: bytes, device: str | None = None, node: str = "n1") -> Parsed:
        topic = f"spBv1.0/g/{kind}/{node}" + (f"/{device}" if device else "")
        return self.nodes.read(topic, data, NOW)

    def born(self, seq: int = 0) -> None:
        """Node and device, whose birth has the number after `seq`."""
        assert self.hear("NBIRTH", node_birth(seq)).error is None
        assert self.hear("DBIRTH", device_birth((seq + 1) % 256), "d1").error is None
        assert self.nodes.orders(NOW) == []

    @property
    def asks(self) -> bool:
        """Whether a birth is asked for now."""
        return bool(self.nodes.orders(NOW))


def node_birth(seq: int = 0, bd_seq: int = 7) -> bytes:
    volts = metric("Supply/Volts", 24.5, alias=1, datatype=10, time_ms=T_MS)
    return payload(seq, metric("bdSeq", datatype=4, integer=bd_seq), volts)


def device_birth(seq: int, flow: int = 10, level: int = 11) -> bytes:
    other = metric("Name", alias=12, datatype=12)
    return payload(
        seq,
        metric("Flow", 5.0, alias=flow, datatype=10),
        metric("Level", alias=level, datatype=4, integer=1500),
        other,
    )


def values(parsed: Parsed) -> dict[tuple[str, int], float]:
    return {(one.asset, column): v for one in parsed.samples for column, v in one.cells}


def reason(parsed: Parsed) -> str | None:
    return None if parsed.error is None else parsed.error.reason


def test_what_is_subscribed_to_is_the_whole_node() -> None:
    kinds = ("NBIRTH/n1", "NDEATH/n1", "NDATA/n1", "DBIRTH/n1/+", "DDEATH/n1/+", "DDATA/n1/+")
    assert Host().nodes.topics() == [f"spBv1.0/g/{kind}" for kind in kinds]


def test_births_and_data_become_readings_in_the_units_that_are_kept() -> None:
    host = Host()
    assert values(host.hear("NBIRTH", node_birth())) == {VOLTS: 24.5}
    assert values(host.hear("DBIRTH", device_birth(1), "d1")) == {FLOW: 5.0, LEVEL: 1.5}
    data = payload(2, metric(alias=10, value=6.0), metric(alias=11, integer=(-250) % 2**64))
    assert values(host.hear("DDATA", data, "d1")) == {FLOW: 6.0, LEVEL: -0.25}
    assert values(host.hear("NDATA", payload(3, metric(alias=1, value=24.0)))) == {VOLTS: 24.0}
    assert not host.asks


def test_a_metrics_own_time_counts_before_the_payloads() -> None:
    host = Host()
    host.born()
    data = payload(
        2, metric(alias=10, value=1.0, time_ms=T_MS - 9), metric(alias=11, integer=1), time_ms=T_MS
    )
    parsed = host.hear("DDATA", data, "d1")
    assert [(one.time_us, one.clock) for one in parsed.samples] == [
        ((T_MS - 9) * MS, 1),
        (T_MS * MS, 2),
    ]
    untold = host.hear("DDATA", payload(3, metric(alias=10, value=1.0), time_ms=None), "d1")
    assert [(one.time_us, one.clock) for one in untold.samples] == [(NOW, None)]


def test_an_alias_means_nothing_before_the_birth_and_it_is_asked_for() -> None:
    host = Host()
    parsed = host.hear("DDATA", payload(2, metric(alias=10, value=1.0)), "d1")
    assert (parsed.samples, reason(parsed)) == ([], "no-birth")
    assert host.nodes.orders(NOW) == [Order("spBv1.0/g/NCMD/n1", rebirth(NOW))]


def test_a_device_that_is_not_born_beside_a_node_that_is() -> None:
    host = Host()
    host.hear("NBIRTH", node_birth())
    assert not host.asks
    assert reason(host.hear("DDATA", payload(1, metric(alias=10, value=1.0)), "d1")) == "no-birth"
    assert host.asks


def test_the_sequence_goes_round_from_255_to_0() -> None:
    host = Host()
    host.born(253)
    for seq in (255, 0, 1):
        parsed = host.hear("DDATA", payload(seq, metric(alias=10, value=float(seq))), "d1")
        assert values(parsed) == {FLOW: float(seq)}
    assert not host.asks


@pytest.mark.parametrize("seq", [4, 1, 255])
def test_after_a_gap_nothing_is_believed_until_the_births_come_again(seq: int) -> None:
    host = Host()
    host.born()
    host.hear("DDATA", payload(2, metric(alias=10, value=1.0)), "d1")
    lost = host.hear("DDATA", payload(seq, metric(alias=10, value=2.0)), "d1")
    assert (lost.samples, reason(lost)) == ([], "sequence")
    assert host.asks
    after = host.hear("DDATA", payload((seq + 1) % 256, metric(alias=10, value=3.0)), "d1")
    assert (after.samples, reason(after)) == ([], "no-birth")
    # What was lost may have been another birth: the same alias means another metric now.
    host.hear("NBIRTH", node_birth(0, 8))
    host.hear("DBIRTH", device_birth(1, flow=11, level=10), "d1")
    again = host.hear("DDATA", payload(2, metric(alias=10, integer=3000)), "d1")
    assert values(again) == {LEVEL: 3.0}


def test_a_message_that_comes_again_is_not_a_gap() -> None:
    host = Host()
    host.born()
    data = payload(2, metric(alias=10, value=1.0))
    assert reason(host.hear("DDATA", data, "d1")) is None
    assert reason(host.hear("DDATA", data, "d1")) == "repeated"
    assert not host.asks


def test_a_number_that_is_left_out_is_0() -> None:
    host = Host()
    host.born(254)
    data = payload(None, metric(alias=10, value=1.0))
    assert values(host.hear("DDATA", data, "d1")) == {FLOW: 1.0}
    host.hear("DDATA", payload(1, metric(alias=10, value=2.0)), "d1")
    assert reason(host.hear("DDATA", data, "d1")) == "sequence"


def test_a_device_that_nobody_wants_counts_in_the_sequence() -> None:
    host = Host()
    host.born()
    parsed = host.hear("DBIRTH", payload(2, metric("Flow", 9.0, alias=10, datatype=10)), "other")
    assert (parsed.samples, parsed.error) == ([], None)
    assert reason(host.hear("DDATA", payload(3, metric(alias=99, value=1.0)), "other")) is None
    assert values(host.hear("DDATA", payload(4, metric(alias=10, value=1.0)), "d1")) == {FLOW: 1.0}


def test_an_alias_that_the_birth_did_not_tell_takes_no_other_along() -> None:
    host = Host()
    host.born()
    data = payload(2, metric(alias=77, value=1.0), metric(alias=10, value=2.0))
    parsed = host.hear("DDATA", data, "d1")
    assert (values(parsed), reason(parsed)) == ({FLOW: 2.0}, "alias")
    assert host.asks


def test_after_a_lost_connection_births_are_asked_for_and_what_comes_is_believed() -> None:
    host = Host()
    host.born()
    host.nodes.connection_lost()
    assert host.asks
    assert values(host.hear("DDATA", payload(2, metric(alias=10, value=1.0)), "d1")) == {FLOW: 1.0}
    host.born()
    host.hear("NDEATH", death(7))
    host.nodes.connection_lost()
    assert not host.asks


def test_a_metric_may_be_born_before_it_has_a_value() -> None:
    host = Host()
    host.hear("NBIRTH", node_birth())
    born = host.hear("DBIRTH", payload(1, metric("Flow", alias=10, datatype=10, null=True)), "d1")
    assert (born.samples, born.error) == ([], None)
    assert values(host.hear("DDATA", payload(2, metric(alias=10, value=1.0)), "d1")) == {FLOW: 1.0}


def test_a_null_is_no_value() -> None:
    host = Host()
    host.born()
    parsed = host.hear("DDATA", payload(2, metric(alias=10, null=True)), "d1")
    assert (parsed.samples, reason(parsed)) == ([], "null")


def test_a_time_ahead_of_the_clock_is_refused() -> None:
    host = Host()
    host.born()
    for seq, time_ms, why in ((2, T_MS + 70_000, "future"), (3, 2**63, "time")):
        data = payload(seq, metric(alias=10, value=1.0, time_ms=time_ms))
        assert reason(host.hear("DDATA", data, "d1")) == why


def test_a_death_silences_what_it_fed() -> None:
    host = Host()
    host.born()
    parsed = host.hear("DDEATH", payload(2), "d1")
    assert sorted(parsed.silenced) == [FLOW, LEVEL]
    assert reason(host.hear("DDATA", payload(3, metric(alias=10, value=1.0)), "d1")) == "no-birth"
    host.born()
    assert sorted(host.hear("NDEATH", death(7)).silenced) == [VOLTS, FLOW, LEVEL]
    assert reason(host.hear("DDATA", payload(2, metric(alias=10, value=1.0)), "d1")) == "no-birth"


def test_a_death_of_an_older_connection_is_none() -> None:
    host = Host()
    host.born()
    parsed = host.hear("NDEATH", death(6))
    assert (parsed.silenced, reason(parsed)) == ([], "stale-death")
    assert values(host.hear("DDATA", payload(2, metric(alias=10, value=1.0)), "d1")) == {FLOW: 1.0}


def test_a_node_that_died_is_not_asked_for_its_birth() -> None:
    host = Host()
    assert host.asks
    host.hear("NDEATH", death(7))
    assert host.nodes.orders(NOW + 3_600_000_000) == []


def test_a_node_that_does_not_answer_is_asked_more_and_more_seldom() -> None:
    nodes = Host().nodes
    asked = [s for s in range(2_000) if nodes.orders(NOW + s * 1_000_000)]
    apart = [late - early for early, late in itertools.pairwise(asked)]
    assert apart == [10, 20, 40, 80, 160, *[320] * 5]


def test_a_node_that_is_heard_again_is_asked_soon() -> None:
    host = Host()
    for second in range(1_000):
        host.nodes.orders(NOW + second * 1_000_000)
    host.hear("DDATA", payload(2, metric(alias=10, value=1.0)), "d1")
    assert len(host.nodes.orders(NOW + 1_000_000_000)) == 1


@pytest.mark.parametrize(
    "topic",
    [
        "spBv1.0/g/NDATA/other",
        "spBv1.0/g/NCMD/n1",
        "spBv1.0/g/DDATA/n1",
        "spBv1.0/g/NDATA/n1/d1",
        "spBv1.0/STATE/host",
        "spAv1.0/g/NDATA/n1",
    ],
)
def test_other_topics_are_not_known(topic: str) -> None:
    assert reason(Host().nodes.read(topic, payload(0), NOW)) == "unknown-topic"


def heard(edge: Intake, kind: str, data: bytes, mid: int, now_us: int = NOW) -> None:
    device = "/d1" if kind.startswith("D") else ""
    edge.receive(Incoming(f"spBv1.0/g/{kind}/n1{device}", data, 1, mid, 1, now_us))


def states(edge: Intake, now_us: int) -> list[str]:
    edge.look(now_us)
    return [source.state for source in edge.sources()]


def test_at_the_edge_a_death_is_a_silence_and_what_is_dropped_is_counted() -> None:
    edge = Intake({"g/d1": GROUP}, {}, now_us=NOW, limit=100)
    assert len(edge.orders(NOW)) == 1
    heard(edge, "DDATA", payload(9, metric(alias=10, value=1.0)), 1)
    heard(edge, "NBIRTH", node_birth(), 2)
    heard(edge, "DBIRTH", device_birth(1), 3)
    assert states(edge, NOW) == ["ok", "ok", "ok"]
    assert {source.clock for source in edge.sources()} == {"source"}
    heard(edge, "DDEATH", payload(2), 4)
    assert states(edge, NOW) == ["ok", "silent", "silent"]
    heard(edge, "DBIRTH", device_birth(3), 5)
    assert states(edge, NOW) == ["ok", "ok", "ok"]
    edge.letters_written(edge.take_letters())
    while parcels := edge.take_due(NOW + 10_000_000):
        for parcel in parcels:
            edge.written(parcel.batch.asset)
    edge.tick(NOW + 60_000_000, attentive=True)
    while parcels := edge.take_due(NOW + 70_000_000):
        for parcel in parcels:
            edge.written(parcel.batch.asset)
    while receipt := edge.acks.next_ready():
        edge.acks.settle(receipt, sent=True)
    account = edge.account()["edge.mqtt"]
    assert account.dropped == {"no-birth": 1}
    assert (account.taken_in, account.missing) == (5, 0)
