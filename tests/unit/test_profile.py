"""Whose a sample is."""

from __future__ import annotations

from tests.bench.profile import part_of, table

ROOT = "_run_once (asyncio/base_events.py:1)"


def test_a_sample_is_the_innermost_owners() -> None:
    assert (
        part_of([ROOT, "feed (stream/core/windower.py:7)", "argsort (numpy/x.py:1)"]) == "windows"
    )
    assert part_of([ROOT]) == "event loops and threads"
    sends = [ROOT, "send (aiokafka/conn.py:2)", "write (asyncio/streams.py:3)"]
    assert part_of(sends) == "Kafka: connection"


def test_who_waits_for_work_does_not_count() -> None:
    waits = ["run (threading.py:1)", "_worker (concurrent/futures/thread.py:81)"]
    works = [*waits, "score (stream/adapters/onnx_package.py:9)"]
    lines = table("Model", [(waits, 90), (works, 3), ([ROOT, "f (x.py:1)"], 1)]).splitlines()
    assert lines[1] == "| Model | share of 4 samples |"
    assert lines[3:] == ["| model's batches | 75.0% |", "| event loops and threads | 25.0% |"]
