"""The view without a terminal: one line when something happens, and one every ten seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.messages import CAMERA, Alert, SourceHealth
from contracts.texts import SEVERITIES, TRANSITIONS, Language, describe, note_text
from vigia.board import Board
from vigia.view import clock
from vigia.words import word

EVERY_US = 10_000_000
MOST_CHANGES = 10
# A process that has just begun is still connecting, which is no news.
_YOUNG_US = 5_000_000
_QUIET = ("ok", "waiting")


@dataclass(slots=True)
class Changes:
    """Tells once what became otherwise: sensors that fall silent or come back, and what a
    process has to say of itself."""

    _states: dict[tuple[str, str], str] = field(default_factory=dict)
    _notes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def lines(self, board: Board, lang: Language, names: Mapping[str, str]) -> list[str]:
        """What is new since the last call, bounded."""
        found = [*self._processes(board, lang), *self._sensors(board, lang, names)]
        if len(found) > MOST_CHANGES:
            rest = len(found) - MOST_CHANGES
            found = [*found[:MOST_CHANGES], word("more", lang, n=rest)]
        return found

    def _processes(self, board: Board, lang: Language) -> Iterator[str]:
        for name, status in board.statuses.items():
            young = status.at_us - status.started_us < _YOUNG_US
            if status.notes != self._notes.get(name, ()) and not young:
                self._notes[name] = status.notes
                notes = "; ".join(note_text(note, lang) for note in status.notes)
                yield f"{name}: {notes or word('well', lang)}"

    def _sensors(self, board: Board, lang: Language, names: Mapping[str, str]) -> Iterator[str]:
        for asset, sources in board.sources().items():
            for source in sources:
                key = (asset, source.signal)
                before = self._states.get(key, "ok")
                self._states[key] = source.state
                if source.state != before and not {source.state, before} <= set(_QUIET):
                    where = names.get(asset, asset)
                    yield f"{where} {source.signal}: {word(source.state, lang)}"


def alert_line(alert: Alert, lang: Language, names: Mapping[str, str]) -> str:
    """As `14:05:09.5 raised critical theft: Line 3: inlet exceeds outlet by 4.2 %`."""
    what = TRANSITIONS[alert.transition][lang]
    severity = SEVERITIES[alert.severity][lang]
    told = describe(alert, lang, names)
    return f"{clock(alert.at_us)} {what} {severity} {alert.rule}: {told}"


def state_line(board: Board, now_us: int, lang: Language = "en") -> str:
    """How the line does, in one line."""
    sources = [source for group in board.sources().values() for source in group]
    cameras = [source for source in sources if source.signal == CAMERA]
    sensors = [source for source in sources if source.signal != CAMERA]
    accounts = board.accounts().values()
    wrong = sum(account.missing != 0 for account in accounts)
    told = word(
        "line",
        lang,
        sensors=len(sensors),
        rate=f"{_rate(sensors):.0f}",
        cameras=word("cameras", lang, n=len(cameras), rate=f"{_rate(cameras):.0f}")
        if cameras
        else "",
        ill=sum(source.state not in ("ok", "waiting") for source in sources),
        raised=len(board.raised()),
        dropped=sum(sum(account.dropped.values()) for account in accounts),
    )
    return f"{clock(now_us)} {told}" + (word("unbalanced", lang, n=wrong) if wrong else "")


def _rate(sources: Sequence[SourceHealth]) -> float:
    return sum(source.rate_hz for source in sources)
