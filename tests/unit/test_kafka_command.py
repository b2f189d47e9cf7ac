"""`vigia kafka` refuses what it cannot start by; that it starts is tested with real parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from vigia.__main__ import cli


@pytest.mark.parametrize(
    ("settings", "users", "words", "told"),
    [
        ("log.dirs=/a,/b", None, (), "one folder as log.dirs"),
        ("node.id=1", None, (), "one folder as log.dirs"),
        ("log.dirs=/a", "somebody", (), "name:password on each line"),
        ("log.dirs=/a", "somebody:short", (), "at least 16 printable ASCII letters"),
        ("log.dirs=/a", "\n", (), "got none"),
        ("log.dirs=/a", None, ("--set", "node.id"), "NAME=VALUE"),
        ("log.dirs=/a", None, ("--set", "a=b\nlog.dirs=/c"), "NAME=VALUE"),
        (None, None, (), "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(
    settings: str | None, users: str | None, words: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    file = tmp_path / "server.properties"
    if settings is not None:
        file.write_text(settings)
    if users is not None:
        (tmp_path / "users").write_text(users)
        words = (*words, "--users", str(tmp_path / "users"))
    done = CliRunner().invoke(cli, ["kafka", "--properties", str(file), *words])
    assert done.exit_code == 2
    assert told in done.output
    assert "short" not in done.output.replace("too short", "")
