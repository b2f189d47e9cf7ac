"""The file of rights, and what Kafka is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.acls import grants
from contracts.access import read_access
from contracts.errors import ConfigError

DEPLOYED = Path(__file__).parents[2] / "deploy" / "kafka" / "acls.yaml"


def test_rights_become_grants_with_the_prefix() -> None:
    text = b"""
users:
  a: {read: [readings], write: [status], consume_as: [stream]}
  b: {watch: [stream]}
"""
    assert [str(one) for one in grants(read_access(text, "acls"), "north")] == [
        "a: READ topic north.readings",
        "a: WRITE topic north.status",
        "a: READ group north-stream",
        "b: DESCRIBE group north-stream",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"users: {a: {read: [reading]}}", "users.a.read.0: .*expected one of readings"),
        (b"users: {a: {delete: [readings]}}", "users.a.delete: "),
        (b"people: {}", "acls: users: "),
        (b"users: [", "acls:1: not YAML"),
        (b"\xff", "acls: expected UTF-8"),
        (b"x" * 6_000_000, "acls:1: expected at most 5000000"),
        (b"users: {a: &a {}, b: *a}", "acls:1: .*aliases"),
        (b"users:\n  a: {}\n  a: {}\n", "acls:3: users.a stands here twice"),
        (b"- 1", "acls: "),
    ],
)
def test_what_is_wrong_is_named(text: bytes, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_access(text, "acls")


def test_nobody_but_the_workers_writes_alarms() -> None:
    users = read_access(DEPLOYED.read_bytes(), "acls").users
    for topic in ("detections", "alarms", "alerts"):
        assert [name for name, one in users.items() if topic in one.write] == ["vigia-stream"]
    assert not users["vigia-operator"].write
