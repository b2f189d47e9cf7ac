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


WATCHERS = ("prometheus", "alertmanager", "grafana")


def mounted() -> dict[str, str]:
    """Where compose shows a secret to Prometheus, Alertmanager and Grafana: the name under which
    deploy/secrets makes it."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return {
        one["target"]: compose["secrets"][one["source"]]["file"].partition("}/")[2]
        for name in WATCHERS
        for one in compose["services"][name]["secrets"]
    }


def test_every_secret_with_the_name_under_which_it_is_made() -> None:
    told = {file: cells[1].strip("`") for file, cells in tables(ENGLISH)["file"].items()}
    made = mounted()
    for yours in ("smtp-password", "heartbeat-url"):
        assert made[f"/etc/alertmanager/secrets/{yours}"] == f"alertmanager/{yours}"
        made[f"/etc/alertmanager/secrets/{yours}"] = "empty; yours"
    assert told == made


def test_what_the_configuration_asks_for_is_a_file_that_is_there() -> None:
    files = [one for name in WATCHERS for one in (ROOT / "deploy" / name).rglob("*")]
    texts = "".join(one.read_text() for one in files if one.suffix in {".yml", ".ini"})
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    words = " ".join(word for name in WATCHERS for word in services[name].get("command", ()))
    asked = set(re.findall(r"/etc/[a-z]+/(?:secrets|tls|web)/[\w.-]+", texts + words))
    # A web.yml names the two beside it.
    beside = {
        f"/etc/{name}/web/server.{kind}.pem" for name in WATCHERS[:2] for kind in ("crt", "key")
    }
    assert asked | beside == set(mounted())
    assert not asked & beside
    assert not re.search(r"(?im)^\s*\w*(password|token|secret)\s*[:=]\s*(?!\$__file)\S", texts)


def _words(cell: str) -> list[str]:
    return [word.strip() for word in cell.split(",") if word.strip()]
