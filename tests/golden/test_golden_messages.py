"""Old messages stay readable, and today's writers still write what old readers know."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest

from contracts.errors import DecodeError
from contracts.frames import EvidenceHeaders, FrameHeaders
from contracts.headers import NO_TIME, header_map
from contracts.message import Message
from contracts.messages import (
    AlarmState,
    Alert,
    Command,
    DetectionBatch,
    Status,
    decode_json,
)
from contracts.readings import (
    Position,
    ReadingBatch,
    ReadingDecoder,
    encode_position,
    position_of,
)
from contracts.schemas import published
from tests import samples
from tests.golden.files import FOLDER, load, of_today
from tests.samples import T0

JSON: list[tuple[str, type[Message], Message]] = [
    ("detections.v2", DetectionBatch, samples.detections()),
    ("alarm.v1", AlarmState, samples.alarm()),
    ("alert.v1", Alert, samples.alert()),
    ("command.v1", Command, samples.command()),
    ("status.v1", Status, samples.status()),
]
NAMES = [name for name, _, _ in JSON]


def test_every_kind_has_a_golden_message() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} >= of_today().keys()


@pytest.mark.parametrize(("name", "kind", "expected"), JSON, ids=NAMES)
def test_readers_of_today_decode_it(name: str, kind: type[Message], expected: Message) -> None:
    assert decode_json(kind, load(name).value) == expected


@pytest.mark.parametrize(("name", "kind", "expected"), JSON, ids=NAMES)
def test_writers_of_today_write_all_of_it(
    name: str, kind: type[Message], expected: Message
) -> None:
    golden = load(name)
    today = of_today()[name]
    assert (today.topic, today.key, today.headers) == (golden.topic, golden.key, golden.headers)
    assert contains(json.loads(today.value or b""), json.loads(golden.value or b""))


def contains(new: Any, old: Any) -> bool:
    """Whether `new` has everything that `old` has; it may have more fields."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(
            key in new and contains(new[key], value) for key, value in old.items()
        )
    if isinstance(old, list):
        return len(new) == len(old) and all(map(contains, new, old))
    return bool(new == old)


@pytest.mark.parametrize(("name", "kind", "expected"), JSON, ids=NAMES)
def test_fields_of_a_later_version_are_ignored(
    name: str, kind: type[Message], expected: Message
) -> None:
    later = with_unknown_fields(json.loads(load(name).value or b""))
    assert decode_json(kind, json.dumps(later).encode()) == expected


FREE = {"account", "dropped", "latencies", "spools"}
"""Mappings whose keys are names, not fields."""


def with_unknown_fields(value: Any, name: str = "") -> Any:
    if isinstance(value, list):
        return [with_unknown_fields(one) for one in value]
    if not isinstance(value, dict) or name == "evidence":
        return value
    found = {key: with_unknown_fields(one, key) for key, one in value.items()}
    return found if name in FREE else {**found, "invented_later": {"deep": [1]}}


@pytest.mark.parametrize(("name", "kind", "expected"), JSON, ids=NAMES)
def test_it_fits_the_published_schema(name: str, kind: type[Message], expected: Message) -> None:
    golden = load(name)
    schema = published()[f"vigia.{name}.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(golden.value or b""))


@pytest.mark.parametrize("name", ["readings.v1", "frame.v2", "evidence.v1", "dead-letter.v1"])
def test_its_headers_fit_the_published_schema(name: str) -> None:
    schema = published()[f"vigia.{name}.headers.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    for out in (load(name), of_today()[name]):
        headers = {key: raw.decode() for key, raw in out.headers}
        jsonschema.Draft202012Validator(schema).validate(headers)
        # What comes late says so, and all else says nothing of it.
        assert headers.keys() == schema["properties"].keys() - {"ce_backfill"}


def test_the_readings() -> None:
    golden = load("readings.v1")
    check_readings(ReadingDecoder().decode(golden.value, golden.headers))
    today = of_today()["readings.v1"]
    check_readings(ReadingDecoder().decode(today.value, today.headers))
    assert today.headers == golden.headers


def check_readings(found: ReadingBatch) -> None:
    t0, s = 1_700_000_000_000_000, 1_000_000
    assert found.asset == "north/line1"
    assert found.position == Position(3, t0 - s, t0 + 2 * s, t0 - s, t0 + 3 * s)
    assert [(c.signal, c.unit, c.clock) for c in found.columns] == [
        ("inlet", "m3/h", "source"),
        ("outlet", "m3/h", "arrival"),
    ]
    assert found.times_us.tolist() == [t0, t0 + 2 * s, t0 + s]
    np.testing.assert_array_equal(found.values, [[10.5, 10.25], [11.0, np.nan], [900.0, 10.0]])
    assert found.quality.tolist() == [[0, 0], [2, 1], [3, 0]]


def test_the_frame() -> None:
    golden = load("frame.v2")
    found = FrameHeaders.parse(header_map(golden.headers))
    assert found == samples.frame()
    assert found.position == Position(17, T0, T0 + 1, T0 - 1_000_000, T0 + 70_000)
    assert of_today()["frame.v2"].headers == golden.headers


def test_what_came_late_says_so() -> None:
    late = replace(samples.batch().position, backfill=True)
    headers = encode_position("north/line1", late, T0, "edge/x")
    assert position_of(header_map(headers)) == late
    frame = samples.frame().at(late)
    assert FrameHeaders.parse(header_map(frame.headers(source="edge/x"))) == frame
    for kind, some in (("readings.v1", headers), ("frame.v2", frame.headers(source="edge/x"))):
        told = {key: raw.decode() for key, raw in some}
        assert told["ce_backfill"] == "true"
        validator = jsonschema.Draft202012Validator(published()[f"vigia.{kind}.headers.json"])
        validator.validate(told)


def test_a_frame_of_version_one_is_read() -> None:
    found = FrameHeaders.parse(header_map(load("frame.v1").headers))
    assert (found.camera, found.quality, found.wm_after_us) == ("cam1", "good", NO_TIME)


def test_the_evidence() -> None:
    golden = load("evidence.v1")
    found = EvidenceHeaders.parse(header_map(golden.headers))
    assert (found.detector, found.score, found.threshold) == ("spots", 0.75, 0.5)
    assert of_today()["evidence.v1"].headers == golden.headers


def test_the_dead_letter() -> None:
    golden = load("dead-letter.v1")
    headers = header_map(golden.headers)
    assert golden.value == b"{broken"
    assert headers["ce_reason"] == b"json"
    assert headers["ce_size"] == b"7"
    assert of_today()["dead-letter.v1"] == golden


def test_detections_of_version_one_are_read() -> None:
    assert decode_json(DetectionBatch, load("detections.v1").value) == samples.detections()


def test_a_message_of_another_kind_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"vigia\.alert\.v1"):
        decode_json(Alert, load("command.v1").value)
