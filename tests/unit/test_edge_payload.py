"""Payloads: strict, bounded, and one bad part does not take the others along."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.plant.model import Signal, SignalSet
from edge.core.payload import MAX_BYTES, MAX_ITEMS, Sample, parse
from edge.core.pointer import PointerMiss, resolve, tokens_of
from edge.core.routes import Routes, routes

NOW = 1_700_000_000_000_000
A = "site/a"


def fed_by(*signals: dict[str, Any]) -> Routes:
    made = [{"id": f"x{i}", "topic": "{site}/{asset}", **one} for i, one in enumerate(signals)]
    group = SignalSet.model_validate({"signals": made})
    return routes({A: group})


def readings(table: Routes, payload: object) -> tuple[list[Sample], str | None]:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    parsed = parse(table, "site/a", data, NOW)
    return parsed.samples, parsed.error.reason if parsed.error else None


def test_pointers_as_in_rfc_6901() -> None:
    document: dict[str, Any] = {
        "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4,
        "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8,
    }  # fmt: skip
    expected = {
        "": document, "/foo": ["bar", "baz"], "/foo/0": "bar", "/": 0, "/a~1b": 1, "/c%d": 2,
        "/e^f": 3, "/g|h": 4, "/i\\j": 5, '/k"l': 6, "/ ": 7, "/m~0n": 8,
    }  # fmt: skip
    for pointer, value in expected.items():
        assert resolve(document, tokens_of(pointer)) == value


@pytest.mark.parametrize("pointer", ["/foo/-", "/foo/2", "/foo/01", "/foo/x", "/no", "/a~1b/c"])
def test_pointers_that_lead_nowhere(pointer: str) -> None:
    with pytest.raises(PointerMiss):
        resolve({"foo": ["bar", "baz"], "a/b": 1}, tokens_of(pointer))


@pytest.mark.parametrize(
    ("spelled", "format"),
    [
        (1_600_000_000_123_456, "us"),
        (1_600_000_000_123.456, "ms"),
        (1_600_000_000.123456, "s"),
        ("2020-09-13T12:26:40.123456Z", "iso8601"),
        ("2020-09-13T14:26:40.123456+02:00", "iso8601"),
    ],
)
def test_times(spelled: object, format: str) -> None:
    table = fed_by({"time": "/t", "time_format": format})
    found, reason = readings(table, {"t": spelled, "value": 1})
    assert (found, reason) == ([Sample(A, 1_600_000_000_123_456, [(0, 1.0)], 0)], None)


@pytest.mark.parametrize(
    ("time", "format", "reason"),
    [
        (NOW + 60_000_001, "us", "future"),
        (4_070_908_800_000, "ms", "future"),
        ("2099-01-01T00:00:00Z", "iso8601", "future"),
        (1e300, "s", "time"),
        (-1, "us", "time"),
        (True, "s", "time"),
        ("1600000000", "s", "time"),
        (None, "s", "time"),
        ("2020-09-13T12:26:40", "iso8601", "time"),
        ("1969-12-31T23:59:59Z", "iso8601", "time"),
        ("yesterday", "iso8601", "time"),
        (5, "iso8601", "time"),
    ],
)
def test_times_that_are_refused(time: object, format: str, reason: str) -> None:
    table = fed_by({"time": "/t", "time_format": format})
    assert readings(table, {"t": time, "value": 1}) == ([], reason)


def test_time_of_arrival_where_the_source_has_none() -> None:
    assert readings(fed_by({}), {"value": 2.5}) == ([Sample(A, NOW, [(0, 2.5)])], None)


def test_units_are_converted() -> None:
    table = fed_by({"unit": "Cel", "source_unit": "K"}, {"unit": "kPa", "source_unit": "bar"})
    (sample,), reason = readings(table, {"value": 300})
    assert reason is None
    assert [value for _, value in sample.cells] == pytest.approx([26.85, 30_000.0])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "not-json"),
        (b"", "not-json"),
        (b"\xff", "not-json"),
        (b'{"value": NaN}', "not-json"),
        (b'{"value": Infinity}', "not-json"),
        (b"[" * 2_000 + b"]" * 2_000, "not-json"),
        ({"value": True}, "type"),
        ({"value": "1"}, "type"),
        ({"value": None}, "type"),
        ({"value": [1]}, "type"),
        ({"other": 1}, "pointer"),
        ([1], "pointer"),
        (b" " * (MAX_BYTES + 1), "too-large"),
    ],
)
def test_what_cannot_be_used(payload: object, reason: str) -> None:
    assert readings(fed_by({}), payload) == ([], reason)


def test_a_number_that_overflows_when_converted_is_refused() -> None:
    table = fed_by({"unit": "Pa", "source_unit": "MPa"})
    assert readings(table, {"value": 1e305}) == ([], "type")


def test_unknown_topic() -> None:
    parsed = parse(fed_by({}), "elsewhere", b"{}", NOW)
    assert parsed.error is not None
    assert parsed.error.reason == "unknown-topic"


def test_one_bad_signal_or_item_does_not_take_the_others_along() -> None:
    table = fed_by(
        {"items": "/rows", "pointer": "/p", "time": "/t", "time_format": "us"},
        {"items": "/rows", "pointer": "/q", "time": "/t", "time_format": "us"},
    )
    rows = [
        {"t": 1, "p": 1, "q": 2},
        {"t": 2, "p": "x", "q": 3},
        {"p": 4},
        {"t": 4, "p": 5, "q": 6},
    ]
    found, reason = readings(table, {"rows": rows})
    assert found == [
        Sample(A, 1, [(0, 1.0), (1, 2.0)], 0),
        Sample(A, 2, [(1, 3.0)], 0),
        Sample(A, 4, [(0, 5.0), (1, 6.0)], 0),
    ]
    assert reason == "type"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [({"rows": 1}, "type"), ({}, "pointer"), ({"rows": [0] * (MAX_ITEMS + 1)}, "too-large")],
    ids=["no array", "nowhere", "too many"],
)
def test_items_that_are_refused(payload: object, reason: str) -> None:
    assert readings(fed_by({"items": "/rows", "pointer": ""}), payload) == ([], reason)


def test_one_topic_may_feed_several_assets_and_one_asset_have_several_topics() -> None:
    plain = SignalSet(signals=(Signal(id="x", topic="all"), Signal(id="y", topic="{asset}/y")))
    table = routes({"s/a": plain, "s/b": plain})
    assert {topic: len(feeds) for topic, feeds in table.items()} == {"all": 2, "a/y": 1, "b/y": 1}
    parsed = parse(table, "all", b'{"value": 1}', NOW)
    assert [sample.asset for sample in parsed.samples] == ["s/a", "s/b"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["rows", "t", "p", "value"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(payload=st.binary(max_size=60) | json_values.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_parsed_or_refused_with_a_bounded_reason(payload: bytes) -> None:
    table = fed_by(
        {"time": "/t", "time_format": "s"},
        {"items": "/rows", "pointer": "/p", "time": "/t", "time_format": "iso8601"},
        {"items": "/rows/0", "pointer": ""},
    )
    found, reason = readings(table, payload)
    reasons = {None, "not-json", "too-large", "pointer", "type", "time", "future"}
    assert reason in reasons
    assert all(0 <= sample.time_us <= NOW + 60_000_000 for sample in found)
    assert all(type(value) is float for sample in found for _, value in sample.cells)
