"""What a person is told who starts a line: what is wrong, in plain words, each thing once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from contracts.messages import Status
from contracts.plant import Plant
from contracts.plant.detectors import Autoencoder, Vision
from contracts.texts import Language
from vigia.board import Board
from vigia.words import word

QUIET_US = 30_000_000
_YOUNG_US = 5_000_000
_MOST_TOPICS = 8
_ANSWERS = 10
_EDGE, _MESSAGES = "edge/", "edge.mqtt"


@dataclass(slots=True)
class Hints:
    """Looks at the board from `begun_us` on. `mqtt` is the broker's HOST:PORT, `log` the edge's
    log, and `options` what other commands need to find our topics, as ` --plant FILE`.
    """

    plant: Plant
    lang: Language
    mqtt: str
    log: str
    options: str = ""
    begun_us: int = 0
    _told: set[str] = field(default_factory=set)
    _answered: int = 0

    def broker(self, answers: bool) -> list[str]:
        """What there is to say of an MQTT broker without which the edge is, given whether
        anything `answers` at its address now. Ask every two seconds."""
        self._answered = self._answered + 1 if answers else 0
        if not answers:
            return [*self._once("mqtt-absent", mqtt=self.mqtt)]
        # The edge takes some seconds to find a broker that has come back.
        if self._answered < _ANSWERS:
            return []
        return [*self._once("mqtt-refuses", mqtt=self.mqtt, log=self.log)]

    def apart(self, board: Board) -> bool:
        """Whether an edge that has had its time says that it has no MQTT broker, and needs one: a
        plant with cameras alone does not."""
        if not self.plant.sensed():
            return False
        return any("MQTT" in note for status in _settled(board) for note in status.notes)

    def look(self, board: Board, now_us: int) -> list[str]:
        """What is new: a broker that was missing, messages that could not be used, and topics on
        which nothing came."""
        return [*self._back(board), *self._unusable(board), *self._quiet(board, now_us)]

    def _back(self, board: Board) -> Iterator[str]:
        missed = self._told & {"mqtt-absent", "mqtt-refuses"}
        if missed and _settled(board) and not self.apart(board):
            yield from self._once("mqtt-back", mqtt=self.mqtt)

    def _unusable(self, board: Board) -> Iterator[str]:
        account = board.accounts().get(_MESSAGES)
        reasons = {} if account is None else account.dropped
        if count := sum(reasons.values()):
            names = ", ".join(sorted(name for name, n in reasons.items() if n))
            yield from self._once("unusable", n=count, reasons=names, options=self.options)

    def _quiet(self, board: Board, now_us: int) -> Iterator[str]:
        # Without a broker, or with messages of another shape, the reason was told.
        if now_us - self.begun_us < QUIET_US or self.apart(board) or "unusable" in self._told:
            return
        topics = waited_for(self.plant, board)
        if topics:
            shown = ", ".join(topics[:_MOST_TOPICS])
            if len(topics) > _MOST_TOPICS:
                shown += f", {word('more', self.lang, n=len(topics) - _MOST_TOPICS)}"
            seconds = QUIET_US // 1_000_000
            figures = {"seconds": seconds, "n": len(topics), "topics": shown, "mqtt": self.mqtt}
            yield from self._once("nothing-came", **figures)

    def _once(self, key: str, **figures: object) -> Iterator[str]:
        if key not in self._told:
            self._told.add(key)
            yield word(key, self.lang, **figures)


def _settled(board: Board) -> list[Status]:
    """What edges say that have had their time to connect."""
    return [
        status
        for name, status in board.statuses.items()
        if name.startswith(_EDGE) and status.at_us - status.started_us >= _YOUNG_US
    ]


def waited_for(plant: Plant, board: Board) -> list[str]:
    """The MQTT topics of which edges say that nothing has come, in the plant file's order."""
    sensed = plant.sensed()
    quiet = {
        (asset, source.signal)
        for asset, sources in board.sources().items()
        for source in sources
        if not source.readings
    }
    found: dict[str, None] = {}
    for asset, group in sensed.items():
        for signal in group.signals:
            if (asset, signal.id) in quiet:
                found[signal.heard_at(asset)] = None
    return list(found)


def model_refused(plant: Plant, folder: Path, words: str, lang: Language) -> str | None:
    """What to do about a model package, where `words` (a worker's last) blame one; `folder` is
    the plant file's."""
    for detector in plant.detectors:
        if isinstance(detector, Autoencoder | Vision):
            package = folder / detector.package
            if str(package) in words:
                return word("model-refused", lang, detector=detector.id, folder=package)
    return None
