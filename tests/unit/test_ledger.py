"""Which offset may be committed."""

from __future__ import annotations

from stream.core.ledger import Ledger


def test_nothing_is_committed_before_the_first_message() -> None:
    assert Ledger().head is None


def test_the_head_is_the_first_message_that_an_open_window_needs() -> None:
    # offset   10   11   12   13
    # asset     a    b    a    a
    # newest    5    9   15   25
    ledger = Ledger()
    for offset, asset, newest in ((10, "a", 5), (11, "b", 9), (12, "a", 15), (13, "a", 25)):
        ledger.read(offset, asset, newest)
    ledger.release("a", 12)
    assert ledger.head == 11
    ledger.release("b", None)
    assert ledger.head == 12
    ledger.release("a", 20)
    assert ledger.head == 13
    ledger.release("a", None)
    assert ledger.head == 14


def test_a_message_with_a_row_before_and_one_after_is_needed() -> None:
    ledger = Ledger()
    ledger.read(3, "a", 30)
    ledger.read(4, "a", 8)
    ledger.read(5, "a", 31)
    ledger.release("a", 30)
    assert ledger.head == 3


def test_messages_without_rows_are_not_needed() -> None:
    ledger = Ledger()
    ledger.read(7)
    assert (ledger.head, ledger.held) == (8, 0)
    ledger.read(8, "a", 1)
    ledger.read(9)
    ledger.release("a", 0)
    assert (ledger.head, ledger.held) == (8, 1)


def test_an_idle_asset_does_not_hold_the_partition() -> None:
    ledger = Ledger()
    ledger.read(0, "idle", 100)
    ledger.release("idle", None)
    for offset in range(1, 1000):
        ledger.read(offset, "busy", offset)
        ledger.release("busy", offset)
    assert ledger.head == 999
