"""`vigia users`: what it refuses before it asks any Kafka."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.loopback import HOST, free_port
from contracts.errors import BrokerError, ConfigError
from tests.processes.authority import Authority
from vigia.commands.users import users


def refused(folder: Path, text: str) -> str:
    file = folder / "users"
    file.write_text(text)
    words = [str(file), "--kafka", "127.0.0.1:1", "--ca-file", str(folder / "none")]
    done = CliRunner().invoke(users, [*words, "--certificate-file", str(folder / "none")])
    assert isinstance(done.exception, ConfigError)
    return str(done.exception)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected name:password on each line, got none"),
        ("vigia-edge secret-of-the-edge-0123", "expected name:password on each line"),
        ("vigia-edge:short-secret", "expected at least 16 printable ASCII letters"),
    ],
)
def test_a_file_that_names_no_users_is_refused(tmp_path: Path, text: str, told: str) -> None:
    said = refused(tmp_path, text)
    assert str(tmp_path / "users") in said
    assert told in said
    assert "secret-of" not in said
    assert "short-secret" not in said


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "users").write_bytes(b"vigia-\xff:secret-of-the-edge-0123")
    words = [str(tmp_path / "users"), "--kafka", "127.0.0.1:1", "--ca-file", "x"]
    done = CliRunner().invoke(users, [*words, "--certificate-file", "x"])
    assert str(done.exception) == f"{tmp_path / 'users'}: expected UTF-8"


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = refused(tmp_path, "vigia-edge:secret-of-the-edge-0123")
    assert f"ca_file {tmp_path / 'none'}: No such file" in said


def test_a_kafka_that_does_not_answer_is_said_after_a_while(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("vigia-edge:secret-of-the-edge-0123")
    pair = Authority(tmp_path).issue("kafka")
    words = [str(tmp_path / "users"), "--kafka", f"{HOST}:{free_port()}", "--wait", "1"]
    words += ["--ca-file", str(tmp_path / "ca.pem"), "--certificate-file", str(pair.both)]
    done = CliRunner().invoke(users, words)
    assert isinstance(done.exception, BrokerError)
    assert "Connection refused" in str(done.exception)
