"""requirements/run.lock: what an image installs is what the tests have run."""

from __future__ import annotations

import re
from collections import Counter

from tests.deploy.compose_rules import ROOT

NONE_FOR_ALL = {"av", "numpy"}
"""No version that is alive has wheels for the oldest and the newest Python."""


def test_a_newer_python_gets_no_version_that_the_oldest_does_not_test() -> None:
    text = (ROOT / "requirements" / "run.lock").read_text(encoding="utf-8")
    versions = Counter(re.findall(r"^([\w.-]+)==", text, flags=re.M))
    assert len(versions) > 50
    assert {name for name, many in versions.items() if many > 1} == NONE_FOR_ALL
