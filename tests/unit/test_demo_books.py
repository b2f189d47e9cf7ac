"""What the demo's books find out."""

from __future__ import annotations

import pytest

from contracts.messages import Account
from vigia.demo.books import OnTopics, unbalanced

LIES = OnTopics(rows=35, readings=100, seen_rows=10, frames=10, images=9, detections=8)


def account(taken: int, out: int, held: int = 0, **dropped: int) -> Account:
    return Account(unit="thing", taken_in=taken, gone_out=out, held=held, dropped=dropped)


def books(**changed: Account) -> dict[str, Account]:
    right = {
        "planter.publish": account(100, 100),
        "edge.mqtt": account(100, 100),
        "edge.rows": account(100, 100),
        "edge.frames": account(12, 9, rate=3),
        "stream.frames": account(10, 10),
        "stream.reading-messages": account(6, 6),
        "stream.rows": account(35, 30, 5),
        "stream.windows": account(10, 8, 2),
        "stream.detection-messages": account(4, 4),
        "stream.alarms": account(8, 8),
    }
    return right | {name.replace("_", "."): value for name, value in changed.items()}


def test_right_books() -> None:
    assert unbalanced(books(), LIES) == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (books(edge_mqtt=account(100, 99)), "edge.mqtt: 1 things"),
        (books(edge_rows=account(100, 99, late=2)), "edge.rows: -1 things"),
        (books(planter_publish=account(101, 101)), "101 published, but 100 came to the edge"),
        (books(planter_publish=account(101, 99, 2)), "99 published, but 100 came"),
        (books(edge_rows=account(100, 98, late=2)), "98 written by the edge, but 100 lie"),
        (books(stream_rows=account(34, 34)), "35 rows lie in the readings, but 34 came"),
        (books(edge_frames=account(12, 8, rate=4)), "8 frames written by the edge, but 9 have"),
        (books(stream_frames=account(9, 9)), "10 frames lie, but 9 came to the workers"),
        (books(stream_frames=account(10, 9, broken=1)), "9 frames were looked at, but 10 rows"),
        (books(stream_windows=account(10, 7, 3)), "7 results written, but 8 lie"),
        (books(stream_alarms=account(7, 7)), "8 lie in the detections, but 7 came"),
    ],
)
def test_what_does_not_add_up_is_said(changed: dict[str, Account], says: str) -> None:
    assert any(says in text for text in unbalanced(changed, LIES))


def test_a_stage_that_is_silent_is_said() -> None:
    silent = books()
    del silent["stream.alarms"]
    assert unbalanced(silent, LIES) == ["stream.alarms told nothing of its account"]
