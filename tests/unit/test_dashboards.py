"""Grafana's dashboards: what lies there is what the code says, in both languages, and is what
Grafana's schema allows."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.__main__ import FOLDER, files
from tests.grafana import expressions, problems

PROVISIONING = FOLDER.parent / "provisioning"
Tree = dict[str, Any]


def boards() -> dict[str, Tree]:
    """The files that lie there, by their names from dashboards/ on."""
    found = sorted(FOLDER.rglob("*.json"))
    return {str(file.relative_to(FOLDER)): json.loads(file.read_text()) for file in found}


def test_what_lies_there_is_what_the_code_says() -> None:
    """Run `make dashboards` where it is not."""
    lie = {file.relative_to(FOLDER): file.read_text() for file in FOLDER.rglob("*.json")}
    assert lie == files()


@pytest.mark.parametrize("name", sorted(map(str, files())))
def test_grafana_s_schema_allows_it(name: str) -> None:
    assert problems(boards()[name]) == []


def _panel(board: Tree) -> Tree:
    found: Tree = next(one for one in board["panels"] if one["type"] == "timeseries")
    return found


BROKEN: dict[str, Callable[[Tree], object]] = {
    "an unknown key of the dashboard": lambda b: b.update(colour="red"),
    "an unknown key of a panel": lambda b: _panel(b).update(tittle="x"),
    "an unknown key of a query": lambda b: _panel(b)["targets"][0].update(expression="up"),
    "a title that is a number": lambda b: _panel(b).update(title=5),
    "a width that is a text": lambda b: _panel(b)["gridPos"].update(w="wide"),
    "a kind of variable that there is not": lambda b: b["templating"]["list"][0].update(type="x"),
    "a mode of thresholds that there is not": lambda b: b["panels"][1]["fieldConfig"]["defaults"][
        "thresholds"
    ].update(mode="relative"),
    "panels that are none": lambda b: b.update(panels={}),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_copy_is_refused(what: str) -> None:
    board = copy.deepcopy(boards()["en/overview.json"])
    BROKEN[what](board)
    assert problems(board) != []


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
