"""What a person sees: told from the board alone."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from contracts.messages import (
    CAMERA,
    Account,
    AlarmClass,
    AlarmState,
    Alert,
    Detection,
    DetectionBatch,
    Phase,
    Severity,
    SourceHealth,
    Status,
    Transition,
    Verdict,
)
from contracts.texts import Language
from vigia.board import Board
from vigia.plain import Changes, alert_line, state_line
from vigia.view import Frame, account_table, render

FRAME = Frame("a plant", "http://127.0.0.1:1/metrics", now_us=2_000_000, names={"a/1": "Line 1"})


def source(asset: str = "a/1", state: str = "ok", signal: str = "flow") -> SourceHealth:
    return SourceHealth.model_validate(
        {
            "asset": asset,
            "signal": signal,
            "state": state,
            "clock": "source",
            "rate_hz": 10.0,
            "readings": 5,
            "last_us": 1,
            "unit": "m3/h",
            "value": 1.5,
        }
    )


def status(*sources: SourceHealth, at_us: int = 1_000_000, **more: object) -> Status:
    known = {"process": "edge/box", "at_us": at_us, "started_us": 0, "sources": sources}
    return Status.model_validate({**known, **more})


def detections(score: float | None, end_us: int = 10, asset: str = "a/1") -> DetectionBatch:
    verdict = Verdict.NOT_MEASURED if score is None else Verdict.NORMAL
    if score is not None and score > 0.5:
        verdict = Verdict.ABNORMAL
    one = Detection(
        id=f"{asset}{end_us}",
        start_us=0,
        end_us=end_us,
        verdict=verdict,
        score=score,
        threshold=0.5,
    )
    return DetectionBatch.of([one], asset=asset, detector="loss", kind="imbalance", plant="p")


def alarm(phase: Phase, applied_us: int = 5, asset: str = "a/1") -> AlarmState:
    return AlarmState(
        alarm=f"{asset}/theft",
        asset=asset,
        rule="theft",
        detector="loss",
        phase=phase,
        alarm_class=AlarmClass.PROCESS,
        severity=Severity.CRITICAL,
        applied_us=applied_us,
        since_us=0,
        score=0.09,
        threshold=0.02,
        reason="imbalance-loss",
    )


def alert(id: str = "1", transition: Transition = Transition.RAISED) -> Alert:
    return Alert(
        id=id,
        alarm="a/1/theft",
        activation="x",
        asset="a/1",
        rule="theft",
        detector="loss",
        transition=transition,
        at_us=1_000_000,
        alarm_class=AlarmClass.PROCESS,
        severity=Severity.CRITICAL,
        score=0.09,
        threshold=0.02,
        reason="imbalance-loss",
        detection=None,
    )


def seen(
    board: Board, frame: Frame = FRAME, lang: Language = "en", size: tuple[int, int] = (160, 60)
) -> str:
    console = Console(file=StringIO(), width=size[0], height=size[1])
    console.print(render(board, frame, lang, size))
    output = console.file
    assert isinstance(output, StringIO)
    return output.getvalue()


def test_an_empty_board_says_that_it_waits() -> None:
    text = seen(Board())
    assert "waiting for the first readings" in text
    assert "http://127.0.0.1:1/metrics" in text


def test_sources_scores_alarms_and_the_account_are_seen() -> None:
    board = Board()
    books = {
        "edge.rows": Account(unit="reading", taken_in=9, gone_out=5, held=1, dropped={"late": 3})
    }
    board.on_status(status(source(), source(signal="level", state="silent"), account=books))
    board.on_detections(detections(0.7))
    board.on_alarm(alarm(Phase.ACTIVE))
    board.on_alert(alert())
    text = seen(board)
    for part in (
        "Line 1",
        "flow",
        "● 1.5",
        "0.7/0.5",
        "raised: 1",
        "inlet exceeds outlet by 9.0 %",
    ):
        assert part in text
    assert "late 3" in text
    assert "✓" in text


@pytest.mark.parametrize("size", [(80, 24), (110, 30), (150, 40)])
def test_it_fits_the_terminal(size: tuple[int, int]) -> None:
    board = Board()
    board.on_status(status(*(source(f"a/{n}", signal=s) for n in range(5) for s in "pqrs")))
    for number in range(5):
        board.on_detections(detections(0.4, asset=f"a/{number}"))
    for number in range(30):
        board.on_alert(alert(str(number)))
    lines = seen(board, size=size).splitlines()
    assert max(map(len, lines)) <= size[0]
    assert len(lines) <= size[1]


def test_books_that_do_not_add_up_are_seen() -> None:
    console = Console(file=StringIO(), width=100)
    wrong = Account(unit="reading", taken_in=9, gone_out=5, held=1)
    console.print(account_table({"edge.rows": wrong}, "en"))
    output = console.file
    assert isinstance(output, StringIO)
    assert "+3" in output.getvalue()


def test_the_view_speaks_spanish() -> None:
    board = Board()
    board.on_status(status(source()))
    board.on_alarm(alarm(Phase.ACTIVE))
    text = seen(board, lang="es")
    assert "la entrada supera la salida" in text
    assert "lecturas/s" in text


def test_of_many_assets_those_with_alarms_are_seen() -> None:
    board = Board()
    assets = [f"a/{number}" for number in range(30)]
    board.on_status(status(*(source(asset) for asset in assets)))
    for asset in assets:
        board.on_detections(detections(0.1, asset=asset))
    board.on_alarm(alarm(Phase.ACTIVE, asset="a/27"))
    text = seen(board)
    assert "a/27" in text
    assert "and 18 more" in text


def test_what_was_not_measured_is_said() -> None:
    board = Board()
    board.on_status(status(source()))
    board.on_detections(detections(None))
    assert "not measured" in seen(board)


def test_a_process_that_says_nothing_is_seen() -> None:
    board = Board()
    board.on_status(status(source()))
    frame = Frame(
        "t", "u", now_us=60_000_000, rss={"edge/box": 1_000_000}, restarts={"edge/box": 2}
    )
    text = seen(board, frame)
    assert "says nothing" in text
    assert "↻2" in text


def test_an_older_window_does_not_replace_a_newer() -> None:
    board = Board()
    board.on_detections(detections(0.4, end_us=20))
    board.on_detections(detections(0.1, end_us=10))
    assert board.scores["a/1", "loss"].score == 0.4


def test_an_older_state_of_an_alarm_does_not_replace_a_newer() -> None:
    board = Board()
    board.on_alarm(alarm(Phase.ACTIVE, applied_us=9))
    board.on_alarm(alarm(Phase.NORMAL, applied_us=8))
    assert len(board.raised()) == 1


def test_an_alert_is_told_once() -> None:
    board = Board()
    assert board.on_alert(alert())
    assert not board.on_alert(alert())
    assert board.on_alert(alert("2", Transition.CLEARED))


def test_accounts_of_several_workers_are_added() -> None:
    board = Board()
    for worker in ("stream/1", "stream/2"):
        one = Account(unit="row", taken_in=5, gone_out=3, held=1, dropped={"late": 1})
        board.on_status(status(process=worker, account={"stream.rows": one}))
    total = board.accounts()["stream.rows"]
    assert (total.taken_in, total.gone_out, total.held, total.dropped) == (10, 6, 2, {"late": 2})


def test_plain_lines() -> None:
    board = Board()
    board.on_status(status(source(), source(signal="level", state="silent")))
    assert "raised critical theft: Line 1: inlet exceeds outlet by 9.0 % (limit 2.0 %)" in (
        alert_line(alert(), "en", FRAME.names)
    )
    assert "2 sensors, 20 readings/s, 1 silent" in state_line(board, 1_000_000)
    board.on_status(status(source(), source(signal=CAMERA)))
    assert "1 sensors, 10 readings/s, 1 cameras, 10 frames/s, 0" in state_line(board, 1_000_000)


def test_changes_are_told_once() -> None:
    board, changes = Board(), Changes()
    board.on_status(
        status(
            source(state="waiting"), at_us=9_000_000, notes=("no connection to the MQTT broker",)
        )
    )
    assert changes.lines(board, "en", {}) == ["edge/box: no connection to the MQTT broker"]
    board.on_status(status(source(state="ok"), at_us=10_000_000))
    assert changes.lines(board, "en", {}) == ["edge/box: well again"]
    board.on_status(status(source(state="silent")))
    assert changes.lines(board, "en", FRAME.names) == ["Line 1 flow: silent"]
    assert changes.lines(board, "en", {}) == []


def test_a_process_that_has_just_begun_is_no_news() -> None:
    board = Board()
    board.on_status(status(source(), notes=("no connection to the MQTT broker",)))
    assert Changes().lines(board, "en", {}) == []
