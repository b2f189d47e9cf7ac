"""States of alarms as the log has them."""

from __future__ import annotations

import logging

import pytest

from contracts.record import Outgoing
from stream.adapters.alarm_agent import states_in
from tests import samples


def test_a_state_that_cannot_be_read_stops_no_worker(caplog: pytest.LogCaptureFixture) -> None:
    good = samples.record(samples.outgoing(samples.alarm()), offset=7)
    values = [b"{}", b"[" * 100_000, b"\xff", b'{"alarm": 1}', None]
    bad = [
        samples.record(Outgoing("vigia.alarms", b"k", value, partition=0), offset=at)
        for at, value in enumerate(values)
    ]
    with caplog.at_level(logging.WARNING):
        assert states_in([*bad, good]) == [samples.alarm()]
    assert len(caplog.records) == 4
    assert "vigia.alarms[0]@0" in caplog.text
