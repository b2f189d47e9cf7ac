"""Secrets come from where the plant file says, and no error shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.secrets import read_secret
from contracts.errors import ConfigError
from contracts.plant.sections import Secret


def test_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret \n")
    assert read_secret(Secret(file=str(file))) == "s3cret "


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANT_PASSWORD", "s3cret")
    assert read_secret(Secret(env="PLANT_PASSWORD")) == "s3cret"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no-such-file: No such file"):
        read_secret(Secret(file=str(tmp_path / "no-such-file")))
    with pytest.raises(ConfigError, match="no VIGIA_NO_SUCH"):
        read_secret(Secret(env="VIGIA_NO_SUCH"))


def test_a_file_that_is_no_text_does_not_show_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"s3cret\xff")
    with pytest.raises(ConfigError) as caught:
        read_secret(Secret(file=str(file)))
    assert "s3cret" not in str(caught.value)
