"""A topic that was deleted and made again is read from its beginning, and is no history."""

from __future__ import annotations

from typing import Any, cast

from aiokafka import TopicPartition

from exporters.adapters.intake import Intake, Offsets
from exporters.ports import Exporter

SAME, OTHER = TopicPartition("p.alerts", 0), TopicPartition("p.alerts", 1)


class Nothing:
    """An exporter that wants nothing."""

    def wants(self) -> tuple[()]:
        return ()


class Ends:
    """A consumer that knows where logs end."""

    async def end_offsets(self, places: Any) -> Offsets:
        return {SAME: 40, OTHER: 3}


async def test_a_log_that_ends_before_where_it_was_read_begins_anew() -> None:
    intake = Intake("nowhere:1", "p", cast(Exporter, Nothing()), lambda: 0)
    intake._next = {SAME: 40, OTHER: 12}
    intake._live_from = {SAME: 30, OTHER: 10}
    await intake._begin_anew(cast(Any, Ends()), [SAME, OTHER])
    assert intake._next == {SAME: 40, OTHER: 0}
    assert intake._live_from == {SAME: 30, OTHER: 0}
