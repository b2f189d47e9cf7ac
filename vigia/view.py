"""The terminal view of a line: sources, scores, alarms, the account. Renders, reads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from contracts.messages import Account, Alert, Severity, SourceHealth, Transition, Verdict
from contracts.texts import TRANSITIONS, Language, describe, note_text
from vigia.board import Board, Score
from vigia.words import word

MOST_ASSETS = 12
MOST_SIGNALS = 6
MOST_RAISED = 8
MOST_HAPPENED = 8
QUIET_US = 5_000_000
# From so many columns on there is room for two tables side by side, and for thresholds.
WIDE = 132
# From so many on there is room for the sensors' values.
MIDDLE = 104
_BAR = 6
_FULL = 1.5
_SEVERITY = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_STATE = {
    "ok": "green",
    "silent": "red",
    "lost": "red",
    "unauthorised": "red",
    "out-of-range": "yellow",
    "stuck": "yellow",
    "jump": "yellow",
    "clock": "yellow",
    "frozen": "yellow",
    "dark": "yellow",
    "over-exposed": "yellow",
    "blurred": "yellow",
    "moved": "yellow",
    "waiting": "dim",
}
_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Frame:
    """What the view shows beside the board."""

    title: str
    metrics_url: str
    now_us: int
    kafka: str = ""
    note: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    rss: Mapping[str, int] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)
    said: Sequence[str] = ()


def render(
    board: Board, frame: Frame, lang: Language = "en", size: tuple[int, int] = (150, 40)
) -> RenderableType:
    """The whole screen, for a terminal of `size` columns and lines."""
    width, height = size
    books = account_table(board.accounts(), lang)
    if width >= WIDE:
        beside = Table.grid(expand=True, padding=(0, 1))
        beside.add_column(ratio=1)
        beside.add_column()
        beside.add_row(_alarms(board, frame, lang, max(3, height - 16)), books)
        middle: list[RenderableType] = [beside]
    else:
        middle = [_alarms(board, frame, lang, max(3, height - 26)), books]
    # What was said stands where the smallest terminal shows it.
    parts = [
        _head(frame, lang),
        *(Text(line, style="yellow") for line in frame.said),
        _assets(board, frame, lang, width),
        *middle,
        _processes(board, frame, lang),
    ]
    return Group(*parts)


def _head(frame: Frame, lang: Language) -> Text:
    text = Text.assemble(("Vigía", "bold"), f"  {frame.title}  ", (frame.note, "dim"))
    where = f"{word('metrics', lang)} {frame.metrics_url}   Kafka {frame.kafka}"
    text.append(f"\n{where}   {word('quit', lang)}", "dim")
    return text


def _assets(board: Board, frame: Frame, lang: Language, width: int) -> RenderableType:
    sources = board.sources()
    if not sources:
        return Text(f"\n{word('first', lang)}\n", style="dim")
    detectors = sorted({detector for _, detector in board.scores})
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(word("asset", lang), no_wrap=True)
    table.add_column(word("rate", lang), justify="right", no_wrap=True)
    table.add_column(_sensor_names(sources, lang, width), no_wrap=True)
    for detector in detectors:
        table.add_column(detector, no_wrap=True)
    shown = _most_telling(board, list(sources))
    for asset in shown:
        rate = sum(source.rate_hz for source in sources[asset])
        bars = [_bar(board.scores.get((asset, detector)), lang, width) for detector in detectors]
        table.add_row(
            _name(board, asset, frame), f"{rate:.0f}", _sensors(sources[asset], width), *bars
        )
    if len(shown) < len(sources):
        table.add_row(word("more", lang, n=len(sources) - len(shown)), style="dim")
    return table


def _most_telling(board: Board, assets: list[str]) -> list[str]:
    """At most MOST_ASSETS, in their own order: those with alarms or high scores if not all."""
    if len(assets) <= MOST_ASSETS:
        return assets
    height: dict[str, float] = dict.fromkeys(assets, 0.0)
    for (asset, _), score in board.scores.items():
        height[asset] = max(height.get(asset, 0.0), ratio(score))
    for state in board.raised():
        height[state.asset] = float("inf")
    top = set(sorted(assets, key=lambda asset: -height[asset])[:MOST_ASSETS])
    return [asset for asset in assets if asset in top]


def _name(board: Board, asset: str, frame: Frame) -> Text:
    name = frame.names.get(asset) or asset
    standing = [state.severity for state in board.raised() if state.asset == asset]
    worst = min(standing, key=list(_SEVERITY).index, default=None)
    return Text(name, style=_SEVERITY[worst] if worst else "")


def _sensor_names(sources: Mapping[str, Sequence[SourceHealth]], lang: Language, width: int) -> str:
    """The signals' names where all assets have the same and there is room for their values."""
    found = {tuple(source.signal for source in group) for group in sources.values()}
    names = next(iter(found))
    if len(found) > 1 or len(names) > MOST_SIGNALS or width < MIDDLE:
        return word("sensors", lang)
    return " ".join(f"{name:<8}" for name in names).rstrip()


def _sensors(sources: Sequence[SourceHealth], width: int) -> Text:
    if len(sources) > MOST_SIGNALS:
        states = [source.state for source in sources]
        return Text(" ").join(
            Text(f"● {states.count(state)}", style=style)
            for state, style in _STATE.items()
            if state in states
        )
    if width < MIDDLE:
        return Text.assemble(*(("●", _STATE[source.state]) for source in sources))
    return Text(" ").join(_sensor(source) for source in sources)


def _sensor(source: SourceHealth) -> Text:
    value = "-" if source.value is None else f"{source.value:.3g}"
    return Text.assemble(("● ", _STATE[source.state]), f"{value:<6}")


def ratio(score: Score) -> float:
    """The score as a multiple of its threshold; 0 where nothing was measured."""
    if score.score is None:
        return 0.0
    if score.threshold <= 0:
        return _FULL if score.verdict is Verdict.ABNORMAL else 0.0
    return max(score.score / score.threshold, 0.0)


def _bar(score: Score | None, lang: Language, width: int) -> Text:
    if score is None:
        return Text("")
    if score.score is None:
        return Text(word("not-measured", lang), style="dim")
    share = ratio(score)
    style = "red" if score.verdict is Verdict.ABNORMAL else "yellow" if share > 0.8 else "green"
    cells = _cells(min(share / _FULL, 1.0))
    mark = round(_BAR / _FULL)
    text = Text.assemble((cells[:mark], style), ("│", "bold"), (cells[mark:], style))
    limit = f"/{score.threshold:.2g}" if width >= WIDE else ""
    return text.append(f" {score.score:.2g}{limit}", "dim")


def _cells(share: float) -> str:
    eighths = round(share * _BAR * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(_BAR)


def _alarms(board: Board, frame: Frame, lang: Language, lines_free: int) -> RenderableType:
    raised = board.raised()
    lines = [
        Text.assemble(
            (f"{state.rule} ", _SEVERITY[state.severity]), describe(state, lang, frame.names)
        )
        for state in raised[:MOST_RAISED]
    ]
    if not raised:
        lines = [Text(word("none", lang), style="green")]
    if len(raised) > MOST_RAISED:
        lines.append(Text(word("more", lang, n=len(raised) - MOST_RAISED), style="dim"))
    happened = [alert_text(alert, lang, frame.names) for alert in board.alerts]
    most = min(max(lines_free - len(lines), 2), MOST_HAPPENED)
    lines += [Text(word("happened", lang), style="dim"), *reversed(happened[-most:])]
    title = f"{word('raised', lang)}: {len(raised)}"
    return Panel(Group(*lines), title=title, title_align="left", box=box.ROUNDED)


def alert_text(alert: Alert, lang: Language, names: Mapping[str, str]) -> Text:
    """One transition in one line."""
    style = "green" if alert.transition is Transition.CLEARED else _SEVERITY[alert.severity]
    what = TRANSITIONS[alert.transition][lang]
    # One line each, however narrow.
    return Text.assemble(
        (f"{clock(alert.at_us)} ", "dim"),
        (f"{what} {alert.rule} ", style),
        describe(alert, lang, names),
        no_wrap=True,
        overflow="ellipsis",
    )


def clock(at_us: int) -> str:
    """The time of day here, as 14:05:09.5."""
    at = datetime.fromtimestamp(at_us / 1e6, UTC).astimezone()
    return f"{at:%H:%M:%S}.{at.microsecond // 100_000}"


def account_table(accounts: Mapping[str, Account], lang: Language) -> Table:
    """The books of all stages."""
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=word("account", lang), title_justify="left"
    )
    for key in ("stage", "unit"):
        table.add_column(word(key, lang), no_wrap=True)
    for key in ("in", "out", "held"):
        table.add_column(word(key, lang), justify="right")
    table.add_column(word("dropped", lang))
    table.add_column(word("balance", lang))
    for stage, account in accounts.items():
        dropped = ", ".join(f"{reason} {n}" for reason, n in sorted(account.dropped.items()) if n)
        right = Text("✓", "green") if account.missing == 0 else Text(f"{account.missing:+d}", "red")
        figures = (account.taken_in, account.gone_out, account.held)
        table.add_row(stage, account.unit, *map(str, figures), dropped or "0", right)
    return table


def _processes(board: Board, frame: Frame, lang: Language) -> Text:
    text = Text(f"{word('processes', lang)}  ", style="dim")
    for name, size in frame.rss.items():
        status = board.statuses.get(name)
        quiet = status is not None and frame.now_us - status.at_us > QUIET_US
        text.append(f"{name} {size / 1e6:.0f} MB", "yellow" if quiet else "")
        if ends := frame.restarts.get(name):
            text.append(f" ↻{ends}", "yellow")
        notes = [word("quiet", lang)] if quiet else list(status.notes) if status else []
        for note in notes:
            text.append(f" ({note_text(note, lang)})", "yellow")
        text.append("   ")
    return text
