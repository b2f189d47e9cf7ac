"""The view without a terminal: one line when something happens, and one every ten seconds."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.messages import Alert
from contracts.texts import TRANSITIONS, Language, describe
from vigia.board import Board
from vigia.view import clock

EVERY_US = 10_000_000


def alert_line(alert: Alert, lang: Language, names: Mapping[str, str]) -> str:
    """As `14:05:09.5 raised critical theft: Line 3: inlet exceeds outlet by 4.2 %`."""
    what = TRANSITIONS[alert.transition][lang]
    return f"{clock(alert.at_us)} {what} {alert.severity} {alert.rule}: " + describe(
        alert, lang, names
    )


def state_line(board: Board, now_us: int) -> str:
    """How the line does, in one line."""
    sources = [source for group in board.sources().values() for source in group]
    rate = sum(source.rate_hz for source in sources)
    ill = sum(source.state in ("silent", "out-of-range") for source in sources)
    accounts = board.accounts().values()
    dropped = sum(sum(account.dropped.values()) for account in accounts)
    wrong = sum(account.missing != 0 for account in accounts)
    return (
        f"{clock(now_us)} {len(sources)} sensors, {rate:.0f} readings/s, {ill} silent or out of "
        f"range; {len(board.raised())} alarms raised; {dropped} dropped"
        + (f"; {wrong} stages do not add up" if wrong else "")
    )
