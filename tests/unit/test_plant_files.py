"""What is said of plant files, right and wrong; the expectations stand in the files (`#! `)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from contracts.plant import PlantErrors, check_plant, read_plant
from contracts.schemas import plant_schema

HERE = Path(__file__).parent / "plants"
GOOD = sorted((HERE / "good").glob("*.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))
# What a schema cannot know: what must hold between values, and what YAML itself refuses.
BEYOND_THE_SCHEMA = {
    "camera-and-signals",
    "camera-password-without-username",
    "camera-region-empty",
    "camera-signal-unknown",
    "camera-with-password-in-the-address",
    "camera-udp-without-rtsp",
    "camera-with-two-sources",
    "kafka-plain-without-tls",
    "kafka-user-of-our-own",
    "kafka-username-without-password",
    "signal-from-nowhere",
    "sparkplug-beside-a-topic",
    "sparkplug-with-a-pointer",
    "layers-overlap",
    "vision-without-camera",
    "alarm-detector-unknown",
    "alarm-id-twice",
    "alias",
    "asset-id-twice",
    "certificate-without-key",
    "detector-assets-match-none",
    "detector-id-twice",
    "detector-signal-unknown",
    "duration-below-a-microsecond",
    "duration-too-long",
    "empty",
    "hop-above-width",
    "imbalance-baseline-incomplete",
    "imbalance-without-history",
    "impossible-date",
    "key-twice",
    "limit-not-finite",
    "limit-without-limits",
    "limits-upside-down",
    "pane-does-not-divide",
    "pane-for-rows",
    "panes-of-two-kinds",
    "window-beyond-retention-of-panes",
    "window-of-too-many-rows",
    "not-yaml",
    "only-comments",
    "password-from-two-places",
    "password-without-username",
    "range-upside-down",
    "signal-id-twice",
    "skew-of-zero",
    "stuck-rest-upside-down",
    "signal-set-unknown",
    "site-id-twice",
    "tab-for-indent",
    "tag",
    "tolerance-above-half-period",
    "topic-format-trick",
    "topic-unknown-braces",
    "two-documents",
    "unit-not-ucum",
    "units-of-other-dimensions",
    "window-beyond-retention",
    "window-of-zero",
}


def named(path: Path) -> str:
    return path.stem


def expected(text: str) -> list[str]:
    return [line.removeprefix("#! ") for line in text.splitlines() if line.startswith("#! ")]


def test_the_plant_file_of_the_page_on_sources_is_right() -> None:
    page = (HERE.parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.S | re.M)
    plant = read_plant(text)
    heard = [one.heard_at("works/pump1") for one in plant.signal_sets["pump"].signals]
    assert heard == ["plant/works/pump1/pressure", "spBv1.0/works/DDATA/gw/pump1"]
    assert plant.cameras()["works/yard"].transport == "udp"


def test_the_plant_file_of_the_page_on_instruments_is_right() -> None:
    page = (HERE.parents[2] / "docs" / "instruments.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.S | re.M)
    plant = read_plant(text)
    (signal,) = plant.signal_sets["boiler"].signals
    assert signal.stuck is not None and signal.jump is not None
    assert plant.cameras()["works/gate"].watch == ("moved", "blurred")


@pytest.mark.parametrize("path", BAD, ids=named)
def test_a_bad_plant_file_is_refused_with_line_path_and_what_was_expected(path: Path) -> None:
    text = path.read_text()
    _, problems = check_plant(text)
    assert [f"{p.line}: {p.path}: {p.text}" for p in problems] == expected(text)
    assert problems
    with pytest.raises(PlantErrors) as caught:
        read_plant(text, path.name)
    assert caught.value.problems == problems


@pytest.mark.parametrize("path", GOOD, ids=named)
def test_a_good_plant_file_is_taken(path: Path) -> None:
    plant, problems = check_plant(path.read_bytes())
    assert problems == ()
    assert plant is not None
    assert plant == read_plant(path.read_text())


def test_ten_mistakes_are_reported_all_ten_at_once() -> None:
    _, problems = check_plant((HERE / "bad" / "ten-mistakes.yaml").read_text())
    assert len(problems) == 10
    assert len({(problem.line, problem.path) for problem in problems}) == 10


@pytest.mark.parametrize("path", GOOD, ids=named)
def test_the_schema_for_editors_takes_good_files(path: Path) -> None:
    jsonschema.Draft202012Validator(plant_schema()).validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "path", [path for path in BAD if path.stem not in BEYOND_THE_SCHEMA], ids=named
)
def test_the_schema_for_editors_refuses_what_has_the_wrong_shape(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    assert list(jsonschema.Draft202012Validator(plant_schema()).iter_errors(document))


def test_the_schema_writes_durations_as_people_do() -> None:
    schema = plant_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    idle = schema["$defs"]["SignalSet"]["properties"]["idle"]
    assert idle["default"] == "5s"
    assert {"integer", "number"}.isdisjoint({one.get("type") for one in idle["anyOf"]})
    assert "1000000" not in json.dumps(schema["$defs"]["Rows"])


def test_bytes_that_are_not_utf8_are_a_problem_with_a_line() -> None:
    plant, problems = check_plant(b"vigia: 1\nsites: \xff\n")
    assert plant is None
    assert [str(problem) for problem in problems] == ["line 2: (file): expected UTF-8 text"]


def test_the_hash_follows_what_the_file_means() -> None:
    text = (HERE / "good" / "smallest.yaml").read_text()
    same = read_plant(text.replace("vigia: 1\n", "vigia: 1 # our plant\n\n"))
    other = read_plant(text.replace("level", "height"))
    assert read_plant(text).hash == same.hash != other.hash


def test_the_plant_knows_its_assets_detectors_and_rules() -> None:
    plant = read_plant((HERE / "good" / "pumping.yaml").read_text())
    assert list(plant.assets()) == ["north/line1", "north/line2"]
    assert [one.id for one in plant.detectors_of("north/line2")][:2] == ["theft", "high-pressure"]
    assert [rule.id for rule in plant.rules_of("theft")] == ["theft"]
    assert plant.rules_of("fast") == ()
