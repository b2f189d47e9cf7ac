"""docs/metrics.md and its Spanish twin name every metric, recorded series and alert, with labels
and severity, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from contracts.plant import read_plant
from exporters.core.board import Board
from exporters.core.bounds import Names
from exporters.core.lag import lag_families

ROOT = Path(__file__).parents[2]
ENGLISH, SPANISH = (ROOT / "docs" / f"metrics{end}.md" for end in ("", ".es"))
HEADS = {ENGLISH: ("metric", "series", "alert"), SPANISH: ("métrica", "serie", "aviso")}
THE_RULES = {ENGLISH: "the rule's", SPANISH: "la de la regla"}
both = pytest.mark.parametrize("page", HEADS, ids=lambda page: page.name)
PLANT = ROOT / "tests" / "unit" / "plants" / "good" / "pumping.yaml"
GROUPS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ROUTES = (ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text()


def tables(page: Path) -> dict[str, dict[str, list[str]]]:
    """By the first word of a table's head, the rows: first cell to the others."""
    found: dict[str, dict[str, list[str]]] = {}
    head = ""
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            head = ""
        elif not head:
            head = cells[0]
        elif not set(line) <= set("|-"):
            rows = found.setdefault(head, {})
            assert cells[0] not in rows, f"{cells[0]} stands there twice"
            rows[cells[0].strip("`")] = cells[1:]
    return found


@both
def test_every_metric_with_its_labels(page: Path) -> None:
    names = Names.of(read_plant(PLANT.read_text()))
    shown = {
        family.name: list(family.labels)
        for family in (*Board(names, "vigia").families(0), *lag_families(()))
    }
    told = {name: _words(cells[0]) for name, cells in tables(page)[HEADS[page][0]].items()}
    assert told == shown


@both
def test_every_recorded_series(page: Path) -> None:
    told = set(tables(page)[HEADS[page][1]])
    assert told == {rule["record"] for rule in RULES if "record" in rule}


@both
def test_every_alert_with_its_severity(page: Path) -> None:
    alerts = {r["alert"]: r.get("labels", {}).get("severity") for r in RULES if "alert" in r}
    told = {name: cells[0] for name, cells in tables(page)[HEADS[page][2]].items()}
    assert told == {name: severity or THE_RULES[page] for name, severity in alerts.items()}


@pytest.mark.parametrize("rule", [r for r in RULES if "alert" in r], ids=lambda rule: rule["alert"])
def test_an_alert_says_itself_in_both_languages(rule: dict[str, dict[str, str]]) -> None:
    assert set(rule["annotations"]) == {"summary", "resumen", "description", "descripcion"}


def test_alerts_that_are_routed_and_inhibited_exist() -> None:
    """A name that no rule has would silence nothing, unseen."""
    matched = re.findall(r'alertname(?:=|=~|!~)"([^"]+)"', ROUTES)
    named = {name for one in matched for name in one.split("|")}
    assert named
    assert named <= {rule["alert"] for rule in RULES if "alert" in rule}


def test_secrets_are_files_that_the_configuration_asks_for() -> None:
    asked = (
        "".join(
            (ROOT / "deploy" / name).read_text()
            for name in ("prometheus/prometheus.yml", "alertmanager/alertmanager.yml")
        )
        + (ROOT / "deploy" / "grafana" / "grafana.ini").read_text()
    )
    files = set(re.findall(r"/etc/\w+/(?:secrets|tls)/[\w.-]+", asked))
    assert set(tables(ENGLISH)["file"]) == files
    assert not re.search(r"(?im)^\s*\w*(password|token|secret)\s*[:=]\s*(?!\$__file)\S", asked)


def _words(cell: str) -> list[str]:
    return [word.strip() for word in cell.split(",") if word.strip()]
