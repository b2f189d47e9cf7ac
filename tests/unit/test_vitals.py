"""Who is ill: judged from what processes say."""

from __future__ import annotations

from contracts.messages import Status
from vigia.backoff import FIRST_S, MOST_S, Backoff
from vigia.vitals import GRACE_S, STILL_S, Vitals

EDGE, WORKER = "edge/box", "stream/box-1"


def status(process: str) -> Status:
    return Status(process=process, at_us=0, started_us=0, account={})


def begun(*processes: str) -> Vitals:
    vitals = Vitals()
    for process in processes:
        vitals.begun(process, 0.0)
    return vitals


def test_who_is_silent_while_others_speak_is_ill() -> None:
    vitals = begun(EDGE, WORKER)
    now = GRACE_S + STILL_S
    vitals.observe(status(EDGE), now)
    assert [ill.process for ill in vitals.judge(now)] == [WORKER]


def test_nobody_is_ill_while_all_are_silent() -> None:
    vitals = begun(EDGE, WORKER)
    assert vitals.judge(GRACE_S + STILL_S + 1000) == []


def test_nobody_is_ill_who_has_just_begun() -> None:
    vitals = begun(EDGE, WORKER)
    vitals.observe(status(EDGE), GRACE_S - 1)
    assert vitals.judge(GRACE_S - 1) == []


def test_who_was_started_again_has_time() -> None:
    vitals = begun(EDGE, WORKER)
    now = GRACE_S + STILL_S
    vitals.begun(WORKER, now)
    vitals.observe(status(EDGE), now + STILL_S + 1)
    assert vitals.judge(now + STILL_S + 1) == []


def test_a_process_of_an_earlier_run_counts_for_nothing() -> None:
    vitals = begun(EDGE)
    vitals.observe(status("edge/old"), GRACE_S + STILL_S)
    assert vitals.judge(GRACE_S + STILL_S) == []


def test_waits_double_up_to_the_most() -> None:
    backoff = Backoff()
    waits = [backoff.after(1.0) for _ in range(9)]
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == MOST_S


def test_a_part_that_ran_well_is_started_again_soon() -> None:
    backoff = Backoff()
    for _ in range(9):
        backoff.after(1.0)
    assert backoff.after(3600.0) == FIRST_S
    assert backoff.ends == 10
