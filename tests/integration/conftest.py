"""What the integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RunningKafka
from tests.integration.secure_site import Site
from tests.processes.mosquitto import Mosquitto, find_mosquitto


@pytest.fixture
def site(tmp_path: Path, kafka: RunningKafka, mosquitto: Mosquitto) -> Iterator[Site]:
    """Brokers that ask for TLS and a user, beside the plain ones, which say whether there are any
    at all."""
    program = find_mosquitto()
    assert program is not None
    made = Site(tmp_path / "site", program)
    with made.kafka, made.mosquitto:
        yield made
