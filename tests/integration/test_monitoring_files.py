"""Prometheus's and Alertmanager's own tools find nothing wrong in the files under deploy/, and
refuse copies in which something is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
ALERTMANAGER = DEPLOY / "alertmanager"


def tool(name: str, *words: str, cwd: Path) -> tuple[int, str]:
    """The exit code of `promtool` or `amtool`, and all that it printed."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"no {name}: install Debian's prometheus and prometheus-alertmanager")
    done = subprocess.run(
        [program, *words], cwd=cwd, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def changed(text: str, here: str, there: str) -> str:
    """`text` with one thing in it changed."""
    assert here in text
    return text.replace(here, there, 1)


@pytest.fixture
def prometheus_folder(tmp_path: Path) -> Path:
    """deploy/prometheus as it would lie under /etc/prometheus."""
    folder = tmp_path / "prometheus"
    shutil.copytree(PROMETHEUS, folder)
    config = folder / "prometheus.yml"
    config.write_text(config.read_text().replace("/etc/prometheus", str(folder)))
    for name in ("tls/ca.pem", "secrets/exporters-password"):
        (folder / name).parent.mkdir()
        (folder / name).touch()
    return folder


@pytest.mark.prometheus
def test_promtool_finds_nothing_wrong(prometheus_folder: Path) -> None:
    for words in (
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "rules.yml"),
        ("test", "rules", "rules.test.yml"),
    ):
        code, said = tool("promtool", *words, cwd=prometheus_folder)
        assert code == 0, said


@pytest.mark.prometheus
@pytest.mark.parametrize(
    ("file", "here", "there", "words"),
    [
        ("prometheus.yml", "password_file:", "password-file:", ("check", "config")),
        ("rules.yml", "sum by (asset)", "sum by asset", ("check", "rules")),
        ("rules.yml", "    for: 1m", "    for: soon", ("check", "config", "prometheus.yml")),
        ("rules.yml", "[15m])) > 2", "[15m])) > 3", ("test", "rules", "rules.test.yml")),
        ("rules.yml", 'class="process"', 'class="instrument"', ("test", "rules", "rules.test.yml")),
        ("rules.yml", "unless on () ", "unless ", ("test", "rules", "rules.test.yml")),
    ],
)
def test_promtool_refuses_what_is_broken(
    prometheus_folder: Path, file: str, here: str, there: str, words: tuple[str, ...]
) -> None:
    path = prometheus_folder / file
    path.write_text(changed(path.read_text(), here, there))
    asked = words if len(words) == 3 else (*words, file)
    assert tool("promtool", *asked, cwd=prometheus_folder)[0] != 0


def test_every_rule_is_in_the_rules_test() -> None:
    """One that promtool tests nowhere could be wrong unseen."""
    tested = (PROMETHEUS / "rules.test.yml").read_text()
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 30
    for rule in rules:
        assert rule.get("record") or f"alertname: {rule['alert']}\n" in tested, rule
        assert rule.get("alert") or rule["record"] in tested, rule


@pytest.fixture
def alertmanager_folder(tmp_path: Path) -> Path:
    """deploy/alertmanager as it would lie under /etc/alertmanager."""
    folder = tmp_path / "alertmanager"
    shutil.copytree(ALERTMANAGER, folder)
    config = folder / "alertmanager.yml"
    config.write_text(config.read_text().replace("/etc/alertmanager", str(folder)))
    return folder


@pytest.mark.alertmanager
def test_amtool_finds_nothing_wrong(alertmanager_folder: Path) -> None:
    code, said = tool("amtool", "check-config", "alertmanager.yml", cwd=alertmanager_folder)
    assert code == 0, said
    assert "5 inhibit rules" in said


@pytest.mark.alertmanager
@pytest.mark.parametrize(
    ("file", "here", "there"),
    [
        ("alertmanager.yml", "smtp_auth_password_file", "smtp_password_file"),
        ("alertmanager.yml", "receiver: operators", "receiver: operator"),
        ("alertmanager.yml", "group_wait: 10s", "group_wait: soon"),
        ("alertmanager.yml", 'severity=~"warning|info"', 'severity=~"warning|info'),
        ("vigia.tmpl", "{{ end -}}", "{{ end"),
    ],
)
def test_amtool_refuses_what_is_broken(
    alertmanager_folder: Path, file: str, here: str, there: str
) -> None:
    path = alertmanager_folder / file
    path.write_text(changed(path.read_text(), here, there))
    assert tool("amtool", "check-config", "alertmanager.yml", cwd=alertmanager_folder)[0] != 0


@pytest.mark.alertmanager
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("class=process", "operators"),
        ("class=instrument", "maintenance"),
        ("class=line", "maintenance"),
        ("class=heartbeat alertname=VigiaWatchdog", "heartbeat"),
        ("job=other", "maintenance"),
    ],
)
def test_who_is_told(alertmanager_folder: Path, labels: str, receiver: str) -> None:
    words = ("config", "routes", "test", "--config.file", "alertmanager.yml")
    code, said = tool("amtool", *words, *labels.split(), cwd=alertmanager_folder)
    assert code == 0
    assert receiver in said.splitlines()
