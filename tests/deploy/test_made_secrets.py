"""What deploy/secrets/make makes for Prometheus, Alertmanager and Grafana."""

from __future__ import annotations

import re
import ssl
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.compose_rules import ROOT
from tests.integration.test_monitoring_files import tool
from tests.processes.composed import made_secrets

WEB = {
    "prometheus": ["grafana", "health", "admin"],
    "alertmanager": ["prometheus", "health", "admin"],
}


def users(folder: Path, name: str) -> dict[str, str]:
    """Of a web.yml: each with what it has of the password."""
    found: dict[str, str] = yaml.safe_load((folder / name / "web.yml").read_text())[
        "basic_auth_users"
    ]
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_secrets(tmp_path_factory.mktemp("made") / "secrets")


def test_all_that_compose_mounts_is_made(made: Path) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    files = {one["file"].partition("}/")[2] for one in compose["secrets"].values()}
    assert len(files) > 30
    assert {file for file in files if not (made / file).exists()} == set()


@pytest.mark.parametrize("name", WEB)
def test_passwords_are_told_by_bcrypt_alone(made: Path, name: str) -> None:
    assert list(users(made, name)) == WEB[name]
    text = (made / name / "web.yml").read_text()
    for told in users(made, name).values():
        assert re.fullmatch(r"\$2b\$10\$[./A-Za-z0-9]{53}", told)
    words = [one.read_text() for one in made.rglob("*-password") if one.stat().st_size]
    assert len(words) > 8
    assert [word for word in words if word in text] == []


def test_who_is_in_it_stays_and_a_new_password_is_taken(tmp_path: Path) -> None:
    folder = made_secrets(tmp_path / "secrets")
    web = folder / "prometheus" / "web.yml"
    added = web.read_text() + "  guest: '$2b$10$" + "e" * 53 + "'\n"
    web.write_text(added)
    made_secrets(folder)
    assert web.read_text() == added
    before = users(folder, "prometheus")
    (folder / "people" / "prometheus-password").unlink()
    made_secrets(folder)
    after = users(folder, "prometheus")
    assert {user for user in before if before[user] != after[user]} == {"admin"}
    assert list(after) == [*WEB["prometheus"], "guest"]


def test_a_certificate_that_is_renewed_fits_its_key(tmp_path: Path) -> None:
    folder = made_secrets(tmp_path / "secrets")
    for certificate in folder.glob("*/*.crt.pem"):
        before = certificate.read_text()
        certificate.unlink()
        made_secrets(folder)
        assert certificate.read_text() != before
        pair = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        key = certificate.with_name(certificate.name.replace(".crt.", ".key."))
        # Raises where they do not fit.
        pair.load_cert_chain(certificate, key)


@pytest.mark.parametrize(
    ("file", "asked"),
    [
        ("rooms/exporters.crt.pem", "prometheus/prometheus.yml"),
        ("alertmanager/server.crt.pem", "prometheus/prometheus.yml"),
        ("prometheus/server.crt.pem", "grafana/provisioning/datasources/prometheus.yml"),
    ],
)
def test_a_certificate_is_for_the_name_by_which_it_is_asked(
    made: Path, file: str, asked: str
) -> None:
    name = file.partition("/")[0].replace("rooms", "exporters")
    assert re.search(rf"\b{name}:\d+", (ROOT / "deploy" / asked).read_text())
    for host, told in ((name, "does match"), ("localhost", "does match"), ("x", "does NOT match")):
        words = ["openssl", "x509", "-noout", "-checkhost", host, "-in", str(made / file)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert told in done.stdout


@pytest.mark.prometheus
@pytest.mark.parametrize("name", WEB)
def test_promtool_finds_nothing_wrong_in_web_files(made: Path, name: str) -> None:
    code, said = tool("promtool", "check", "web-config", "web.yml", cwd=made / name)
    assert code == 0, said


@pytest.mark.prometheus
@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("basic_auth_users", "basic_users"),
        ("server.key.pem", "another.key.pem"),
        ("cert_file: server.crt.pem\n", "\n"),
    ],
)
def test_promtool_refuses_a_broken_web_file(
    tmp_path: Path, made: Path, here: str, there: str
) -> None:
    for name in ("web.yml", "server.crt.pem", "server.key.pem"):
        (tmp_path / name).write_text((made / "prometheus" / name).read_text())
    text = (tmp_path / "web.yml").read_text()
    assert here in text
    (tmp_path / "web.yml").write_text(text.replace(here, there))
    assert tool("promtool", "check", "web-config", "web.yml", cwd=tmp_path)[0] != 0
