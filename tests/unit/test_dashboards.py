"""Grafana's dashboards: what lies there is what the code says, in both languages, and is what
Grafana's schema allows."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.__main__ import FOLDER, files
from tests.grafana import SCHEMAS, expressions, problems

PROVISIONING = FOLDER.parent / "provisioning"
Tree = dict[str, Any]


def boards() -> dict[str, Tree]:
    """The files that lie there, by their names from dashboards/ on."""
    found = sorted(FOLDER.rglob("*.json"))
    return {str(file.relative_to(FOLDER)): json.loads(file.read_text()) for file in found}


def _one_of_each_kind() -> Tree:
    """A dashboard with every kind of panel, variables and marks."""
    found = boards()
    whole = copy.deepcopy(found["en/asset.json"])
    whole["panels"] += found["en/overview.json"]["panels"]
    return whole


WHOLE = _one_of_each_kind()


def test_what_lies_there_is_what_the_code_says() -> None:
    """Run `make dashboards` where it is not."""
    lie = {file.relative_to(FOLDER): file.read_text() for file in FOLDER.rglob("*.json")}
    assert lie == files()


@pytest.mark.parametrize("name", sorted(map(str, files())))
def test_grafana_s_schema_allows_it(name: str) -> None:
    assert problems(boards()[name]) == []


def test_the_schema_is_that_of_the_grafana_that_compose_starts() -> None:
    compose = _yaml(FOLDER.parents[2] / "docker-compose.yml")
    _, version = compose["services"]["grafana"]["image"].split(":")
    assert SCHEMAS.name == f"grafana-{version}"
    made_of = json.loads((SCHEMAS / "package.json").read_text())["dependencies"]
    assert made_of["@grafana/schema"] == version


def _open_to_any_key(schema: object, name: str = "") -> Iterator[str]:
    """By which key, in what it describes, each object goes that may have keys of any name."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            yield name
        for key, one in schema.get("properties", {}).items():
            yield from _open_to_any_key(one, f"{name.rpartition('.')[2]}.{key}")
        for one in (value for key, value in schema.items() if key != "properties"):
            yield from _open_to_any_key(one, name)
    elif isinstance(schema, list):
        for one in schema:
            yield from _open_to_any_key(one, name)


def test_the_schema_is_open_only_where_grafana_s_types_are() -> None:
    """A variable's query may be an object; a mapping's options go by the values that they map."""
    schema = json.loads((SCHEMAS / "dashboard.json").read_text())
    assert set(_open_to_any_key(schema)) == {"list.query", "mappings.options"}


def _panel(board: Tree, kind: str) -> Tree:
    found: Tree = next(one for one in board["panels"] if one["type"] == kind)
    return found


def _options(board: Tree, kind: str) -> Tree:
    found: Tree = _panel(board, kind)["options"]
    return found


def _query(board: Tree) -> Tree:
    found: Tree = _panel(board, "timeseries")["targets"][0]
    return found


def _fields(board: Tree, kind: str) -> Tree:
    found: Tree = _panel(board, kind)["fieldConfig"]["defaults"]
    return found


def _variable(board: Tree) -> Tree:
    found: Tree = board["templating"]["list"][0]
    return found


def _mark(board: Tree) -> Tree:
    found: Tree = board["annotations"]["list"][0]
    return found


BROKEN: dict[str, tuple[str, Callable[[Tree], object]]] = {
    "an unknown key of the dashboard": ("'colour'", lambda b: b.update(colour="red")),
    "panels that are none": ("'array'", lambda b: b.update(panels={})),
    "a cursor that there is not": ("graphTooltip", lambda b: b.update(graphTooltip=3)),
    "a link to what there is not": ("links[0].type", lambda b: b["links"][0].update(type="page")),
    "an unknown key of a panel": ("'tittle'", lambda b: _panel(b, "stat").update(tittle="x")),
    "a kind of panel that we have not": ("type", lambda b: _panel(b, "stat").update(type="graph")),
    "a title that is a number": (".title", lambda b: _panel(b, "table").update(title=5)),
    "a width that is a text": (
        "gridPos.w",
        lambda b: _panel(b, "timeseries")["gridPos"].update(w="wide"),
    ),
    "a panel without options": ("'options'", lambda b: _panel(b, "table").pop("options")),
    "another kind's options": (
        "'showHeader'",
        lambda b: _options(b, "stat").update(showHeader=True),
    ),
    "a word that stat has not": (
        "options.graphMode",
        lambda b: _options(b, "stat").update(graphMode="bars"),
    ),
    "a number of stat's that is a text": (
        "options.text.valueSize",
        lambda b: _options(b, "stat").update(text={"valueSize": "big"}),
    ),
    "a legend that lies elsewhere": (
        "options.legend.placement",
        lambda b: _options(b, "timeseries")["legend"].update(placement="top"),
    ),
    "an unknown key of a tooltip": (
        "'colour'",
        lambda b: _options(b, "timeseries")["tooltip"].update(colour="red"),
    ),
    "a height of rows that is a text": (
        "options.rowHeight",
        lambda b: _options(b, "state-timeline").update(rowHeight="0.9"),
    ),
    "a table without its head's option": (
        "'showHeader'",
        lambda b: _options(b, "table").pop("showHeader"),
    ),
    "a mode of thresholds that there is not": (
        "thresholds.mode",
        lambda b: _fields(b, "stat")["thresholds"].update(mode="relative"),
    ),
    "an unknown key of fields": ("'units'", lambda b: _fields(b, "stat").update(units="s")),
    "a line that there is not": (
        "custom.drawStyle",
        lambda b: _fields(b, "timeseries").update(custom={"drawStyle": "dots"}),
    ),
    "another kind's fields": (
        "'drawStyle'",
        lambda b: _fields(b, "table").update(custom={"drawStyle": "line"}),
    ),
    "fields of what has none": (
        "'lineWidth'",
        lambda b: _fields(b, "stat").update(custom={"lineWidth": 1}),
    ),
    "an unknown key of a query": ("'expression'", lambda b: _query(b).update(expression="up")),
    "a query that is a number": ("targets[0].expr", lambda b: _query(b).update(expr=1)),
    "a format that there is not": ("targets[0].format", lambda b: _query(b).update(format="csv")),
    "a query without a name": ("'refId'", lambda b: _query(b).pop("refId")),
    "a kind of variable that there is not": (".type", lambda b: _variable(b).update(type="x")),
    "an unknown key of a variable": ("'auto'", lambda b: _variable(b).update(auto=False)),
    "an order that there is not": (".sort", lambda b: _variable(b).update(sort=9)),
    "an unknown key of a mark": ("'colour'", lambda b: _mark(b).update(colour="red")),
    "a mark without an expression": ("'expr'", lambda b: _mark(b).pop("expr")),
    "a mark that is on by a word": (".enable", lambda b: _mark(b).update(enable="yes")),
    "a panel in a row that is none": (
        "'array'",
        lambda b: _panel(b, "row").update(panels="none"),
    ),
    "an unknown key of a row's panel": (
        "'tittle'",
        lambda b: _panel(b, "row").update(panels=[{**_panel(b, "stat"), "tittle": "x"}]),
    ),
}
"""Each a change, and what is told of it."""


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_copy_is_refused(what: str) -> None:
    board = copy.deepcopy(WHOLE)
    told, change = BROKEN[what]
    change(board)
    (problem,) = problems(board)
    assert told in problem


def test_of_a_whole_copy_nothing_is_said() -> None:
    assert problems(WHOLE) == []


def test_both_languages_ask_the_same() -> None:
    all_boards = boards()
    for name in ("overview", "asset", "cameras", "line"):
        en = [one for _, one in expressions(all_boards[f"en/{name}.json"])]
        es = [one for _, one in expressions(all_boards[f"es/{name}.json"])]
        assert en == es
        assert len(en) > 5
    titles = [board["title"] for board in all_boards.values()]
    uids = [board["uid"] for board in all_boards.values()]
    assert len(set(titles)) == len(set(uids)) == len(all_boards) == 8


def test_panels_do_not_lie_on_each_other() -> None:
    for name, board in boards().items():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, (name, panel["title"])
            assert at["x"] + at["w"] <= 24
            taken |= cells


def _yaml(file: Path) -> Tree:
    found: Tree = yaml.safe_load(file.read_text())
    return found


def test_provisioning_names_what_there_is() -> None:
    (source,) = _yaml(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    asked = {
        panel["datasource"]["uid"]
        for board in boards().values()
        for panel in board["panels"]
        if "targets" in panel
    }
    assert asked == {source["uid"]}
    providers = _yaml(PROVISIONING / "dashboards" / "vigia.yml")["providers"]
    folders = {Path(one["options"]["path"]).name for one in providers}
    assert folders == {folder.name for folder in FOLDER.iterdir()}
