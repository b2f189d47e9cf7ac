"""Bounded label sets: what a broken or hostile sender writes cannot make series without end."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field

from contracts.messages import CAMERA
from contracts.plant import Plant

OTHER = "other"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]{0,99}\Z")


@dataclass(slots=True)
class Names:
    """The names that a plant file gives; all others are OTHER. All who label by one plant file have
    the same object, so that another plant file changes it for all.

    `signals` has each (asset, signal) with its unit, each camera as signal CAMERA; `detectors`
    each (asset, detector) wherever one looks at an asset, `alarms` each (asset, rule) with
    severity and class.
    """

    signals: dict[tuple[str, str], str]
    detectors: frozenset[tuple[str, str]]
    alarms: dict[tuple[str, str], tuple[str, str]]
    plant: str

    @classmethod
    def of(cls, plant: Plant) -> Names:
        """The names in `plant`."""
        watched = [(asset, d.id) for asset in plant.assets() for d in plant.detectors_of(asset)]
        signals = {(a, s.id): s.unit for a, group in plant.sensed().items() for s in group.signals}
        signals |= {(asset, CAMERA): "1" for asset in plant.cameras()}
        alarms = {
            (asset, rule.id): (rule.severity.value, rule.alarm_class.value)
            for asset, detector in watched
            for rule in plant.rules_of(detector)
        }
        return cls(signals, frozenset(watched), alarms, plant.hash)

    def become(self, plant: Plant) -> None:
        """Those of another plant file from now on."""
        new = Names.of(plant)
        self.signals, self.detectors, self.alarms = new.signals, new.detectors, new.alarms
        self.plant = new.plant

    def signal(self, asset: str, signal: str) -> tuple[str, str]:
        """(asset, signal) as labels."""
        return (asset, signal) if (asset, signal) in self.signals else (OTHER, OTHER)

    def detector(self, asset: str, detector: str) -> tuple[str, str]:
        """(asset, detector) as labels."""
        return (asset, detector) if (asset, detector) in self.detectors else (OTHER, OTHER)

    def alarm(self, asset: str, rule: str) -> tuple[str, str]:
        """(asset, rule) as labels."""
        return (asset, rule) if (asset, rule) in self.alarms else (OTHER, OTHER)


def is_word(text: str) -> bool:
    """Whether `text` is fit for a label: letters, digits and `_./:-`, at most 100."""
    return _WORD.match(text) is not None


@dataclass(slots=True)
class Words:
    """The first `most` words of a kind; all others, and what is no word, are OTHER."""

    most: int
    _known: set[str] = field(default_factory=set)

    def label(self, word: str) -> str:
        """`word` as a label."""
        if word not in self._known:
            if len(self._known) >= self.most or not is_word(word):
                return OTHER
            self._known.add(word)
        return word


@dataclass(slots=True)
class Recent:
    """The last `most` identifiers that were seen."""

    most: int
    _seen: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def again(self, id: str) -> bool:
        """Whether `id` was seen before; it is from now on."""
        if id in self._seen:
            return True
        self._seen[id] = None
        if len(self._seen) > self.most:
            self._seen.popitem(last=False)
        return False
