"""Whatever stands in a plant file, checking it ends in a list of problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.plant import check_plant

GOOD = (Path(__file__).parent / "plants" / "good" / "pumping.yaml").read_text()
LINES = GOOD.splitlines()
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.dates(),
    st.binary(max_size=8),
    st.sampled_from(["*", "[", "{site!r}", "{asset.x}", "0", "-1s", "9" * 30 + "d", "m3/h", "/~"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.text())
@example("!!timestamp x")
@example("a: !!bool maybe")
@example("[" * 400)
@example("- " * 3_000)
@example("vigia: 0x" + "f" * 6_000)
@example("vigia: 1\nsites: {north: {}}\nsignal_sets: [1]\ndetectors: {a: {kind: limit}}")
@example("? {a: b}\n: c")
@example("vigia: 1\n\ud800")
@example("a: 1" + ":1" * 200 + ".5")
@example(GOOD.replace("unit: kPa", "unit: '{[degF]1k}'"))
@example(GOOD.replace("unit: kPa", "unit: '10*9999999'"))
@example(GOOD.replace("unit: kPa", "unit: '" + "m." * 3_000 + "m'"))
def test_any_text(text: str) -> None:
    check_plant(text)


@given(st.binary())
def test_any_bytes(raw: bytes) -> None:
    check_plant(raw)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict | list):
        return [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(found for key, one in inner for found in paths(one, (*path, key)))]


PATHS = [path for path in paths(yaml.safe_load(GOOD)) if path]


@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=4))
def test_a_good_file_with_any_values_in_any_places(changes: list[tuple[Any, Any]]) -> None:
    document = yaml.safe_load(GOOD)
    for path, value in changes:
        place = document
        try:
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
        except (LookupError, TypeError):
            continue  # an earlier change took the place away
    plant, problems = check_plant(yaml.safe_dump(document))
    assert plant is not None or problems


@given(st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1), st.text(max_size=12))
def test_a_good_file_with_lines_moved_and_cut(here: int, there: int, text: str) -> None:
    lines = [*LINES]
    lines[here], lines[there] = lines[there], lines[here][: len(text)] + text
    check_plant("\n".join(lines))
