"""Identities, partitions, durations, units, headers, errors and the topic table."""

from __future__ import annotations

import inspect

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as their_murmur2
from hypothesis import example, given
from hypothesis import strategies as st

from contracts import errors
from contracts.deadletters import MAX_BYTES, MAX_TEXT, dead_letter
from contracts.durations import MAX_US, format_duration, parse_duration
from contracts.errors import DecodeError, FieldError, MessageError, VigiaError
from contracts.frames import FrameHeaders
from contracts.headers import cloud_event, header_map, int_header
from contracts.identity import activation_id, alarm_key, alert_id, asset_key, detection_id
from contracts.messages import DetectionBatch, Status, decode_json
from contracts.partitions import murmur2, partition_of
from contracts.topics import ALARMS, READINGS, TOPICS, topic_name, topic_of
from contracts.units import UnitError, check_unit, conversion
from tests import samples


@given(st.binary(max_size=64))
def test_murmur2_is_kafkas(key: bytes) -> None:
    assert murmur2(key) == their_murmur2(key) & 0xFFFFFFFF


@given(st.text(max_size=40), st.integers(1, 64))
def test_partitions_are_those_of_the_default_partitioner(key: str, count: int) -> None:
    every = list(range(count))
    assert partition_of(key, count) == DefaultPartitioner()(key.encode(), every, every)


def test_identities_never_change() -> None:
    # Written once: alarms of last year must be found under the same names.
    assert detection_id("north/line1", "theft", 0, 30) == "ee59cacfc5977b993a693c9bc9645b44"
    assert activation_id("north/line1/theft", 30) == "dfbc21f1affb90fa4748b93e717678fe"
    assert alert_id("north/line1/theft", "raised", 30) == "4af0623517964a4580b7dca41760e8f0"


PARTS = st.tuples(
    st.from_regex(r"[a-z0-9]{1,6}/[a-z0-9]{1,6}", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True),
    st.integers(0, 2**60),
    st.integers(0, 2**60),
    st.integers(0, 3),
)


@given(PARTS, PARTS)
@example(("a/b", "c1", 2, 3, 0), ("a/b", "c", 12, 3, 0))
def test_two_things_have_one_id_only_if_they_are_one(
    one: tuple[str, str, int, int, int], other: tuple[str, str, int, int, int]
) -> None:
    assert (detection_id(*one) == detection_id(*other)) == (one == other)


def test_keys() -> None:
    assert asset_key("north", "line1") == "north/line1"
    assert alarm_key("north/line1", "theft") == "north/line1/theft"


@given(st.integers(0, MAX_US))
def test_a_duration_is_read_as_it_was_written(us: int) -> None:
    assert parse_duration(format_duration(us)) == us


@pytest.mark.parametrize(
    ("text", "us"),
    [("100ms", 100_000), ("1.5s", 1_500_000), ("5 min", 300_000_000), ("7d", 604_800_000_000)],
)
def test_durations(text: str, us: int) -> None:
    assert parse_duration(text) == us


@given(st.text())
@example("9" * 400 + "d")
@example("1s\n2s")
@example("-1s")
@example("1")
@example("٣s")
def test_what_is_no_duration_is_a_value_error(text: str) -> None:
    try:
        assert 0 <= parse_duration(text) <= MAX_US
    except ValueError as error:
        assert "expected" in str(error)


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        ("L/s", "m3/h", 10.0, 36.0),
        ("bar", "kPa", 2.5, 250.0),
        ("[degF]", "Cel", 212.0, 100.0),
        ("K", "Cel", 273.15, 0.0),
        ("kPa", "kPa", 3.0, 3.0),
        ("%", "1", 50.0, 0.5),
        ("10*3/uL", "10*9/L", 7.0, 7.0),
    ],
)
def test_units_are_converted(source: str, target: str, value: float, expected: float) -> None:
    factor, offset = conversion(source, target)
    assert factor * value + offset == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("code", ["qbm", "m³/h", "", "furlong per fortnight", "kPa kPa", "m/", "{"])
def test_what_is_no_ucum_code_is_refused(code: str) -> None:
    with pytest.raises(UnitError):
        check_unit(code)


def test_units_of_other_dimensions_are_refused() -> None:
    with pytest.raises(UnitError, match="cannot be converted"):
        conversion("kPa", "m3/h")


@pytest.mark.parametrize(("source", "target"), [("dB", "1"), ("B[W]", "W"), ("10*400", "1")])
def test_units_without_a_factor_are_refused(source: str, target: str) -> None:
    with pytest.raises(UnitError):
        conversion(source, target)


@given(st.text(max_size=12), st.text(max_size=12))
@example("[pH]", "1")
@example("B[W]", "W")
@example("Cel/s", "K/s")
@example("10*400", "1")
def test_any_units_end_in_a_conversion_or_a_unit_error(source: str, target: str) -> None:
    try:
        factor, offset = conversion(source, target)
    except UnitError:
        return
    assert isinstance(factor, float)
    assert isinstance(offset, float)


def test_cloud_event_headers() -> None:
    headers = cloud_event(
        "vigia.x.v1",
        source="edge/é",
        id="1",
        subject="a/b",
        content_type="text/plain",
        extensions={"count": 3},
    )
    assert headers == [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"vigia.x.v1"),
        ("ce_source", "edge/é".encode()),
        ("ce_id", b"1"),
        ("ce_subject", b"a/b"),
        ("ce_count", b"3"),
        ("content-type", b"text/plain"),
    ]
    assert int_header(header_map(headers), "ce_count") == 3


def test_of_a_header_that_comes_twice_the_last_counts() -> None:
    assert header_map([("a", b"1"), ("a", None)]) == {"a": b""}
    assert header_map(None) == {}


@given(st.binary(max_size=30))
def test_a_number_in_a_header_or_a_field_error(raw: bytes) -> None:
    try:
        assert isinstance(int_header({"n": raw}, "n"), int)
    except FieldError as error:
        assert error.reason == "header"


def test_a_dead_letter_is_bounded_and_says_what_was_cut() -> None:
    error = FieldError("x" * 9000, reason="json")
    value, headers = dead_letter(
        b"a" * (MAX_BYTES + 5), error, source="edge/b", origin="t", at_us=7, number=2
    )
    named = header_map(headers)
    assert len(value) == MAX_BYTES
    assert named["ce_size"] == str(MAX_BYTES + 5).encode()
    assert len(named["ce_text"]) == MAX_TEXT
    assert (named["ce_id"], named["ce_subject"]) == (b"edge/b:7:2", b"t")


def test_the_tree_of_errors_is_the_one_that_is_documented() -> None:
    tree = {
        name: kind
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, VigiaError)
    }
    assert sorted(tree) == sorted(errors.__all__)
    depths = {}
    for line in (errors.__doc__ or "").splitlines():
        name = line.lstrip("│ ├└─").split(" ")[0]
        if name in tree:
            depths[name] = (len(line) - len(line.lstrip("│ ├└─"))) // 4
    assert depths == {
        name: len(kind.__mro__) - len(VigiaError.__mro__) for name, kind in tree.items()
    }
    names = list(depths)
    for name, kind in tree.items():
        if name != "VigiaError":
            before = names[: names.index(name)]
            parent = next(n for n in reversed(before) if depths[n] == depths[name] - 1)
            assert kind.__base__ is tree[parent]


def test_reasons_are_short_words() -> None:
    for kind in (MessageError, DecodeError, FieldError):
        assert kind("x").reason == kind.reason
        assert kind("x", reason="json").reason == "json"


def test_the_table_of_topics() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    for topic in TOPICS:
        assert topic_of(topic_name(topic, "plant-7"), "plant-7") is topic
        assert topic_of(topic.name) is topic
        assert topic.config()["retention.ms"] == str(topic.retention_ms)
    assert topic_of("else") is None
    assert topic_of("vigia.readings.x") is None
    assert ALARMS.config()["cleanup.policy"] == "compact"
    assert "retention.bytes" not in ALARMS.config(retention_bytes=10**9)
    assert READINGS.config(retention_bytes=10**9)["retention.bytes"] == str(10**9)


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_a_message_error(value: bytes) -> None:
    with pytest.raises(MessageError):
        decode_json(Status, value)


def test_json_says_which_field_is_wrong() -> None:
    raw = samples.outgoing(samples.detections()).value or b""
    with pytest.raises(DecodeError, match=r"vigia\.detections\.v2: start_us\.0"):
        decode_json(DetectionBatch, raw.replace(b'"start_us":[', b'"start_us":["x",'))
    with pytest.raises(DecodeError, match="of one length"):
        decode_json(DetectionBatch, raw.replace(b'"start_us":[', b'"start_us":[1,'))
    with pytest.raises(DecodeError):
        decode_json(DetectionBatch, None)
    with pytest.raises(DecodeError):
        decode_json(DetectionBatch, raw.replace(b"0.042", b"NaN"))


def test_frame_headers_round_trip_and_say_what_is_wrong() -> None:
    headers = header_map(samples.frame().headers(source="edge/b"))
    assert FrameHeaders.parse(headers) == samples.frame()
    with pytest.raises(DecodeError, match="width"):
        FrameHeaders.parse({**headers, "ce_width": b"-1"})
    with pytest.raises(DecodeError, match="camera"):
        FrameHeaders.parse({name: raw for name, raw in headers.items() if name != "ce_camera"})


def test_books_that_do_not_balance_say_by_how_much() -> None:
    account = samples.status().account["edge.mqtt"]
    assert account.missing == 0
    assert account.model_copy(update={"gone_out": 90}).missing == 10
