"""Models that fail while they work: said in the log and in the worker's status."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from contracts.errors import ModelError
from contracts.texts import NOTES

SAY_AGAIN_US = 60_000_000
_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class ModelFaults:
    """Whoever calls a model catches what it raises; here it is told, once a minute each."""

    now_us: Callable[[], int]
    _failed_us: dict[str, int] = field(default_factory=dict)
    _said_us: dict[str, int] = field(default_factory=dict)

    def telling(self, detector: str, score: Callable[P, T]) -> Callable[P, T]:
        """`score`, whose ModelErrors are told before they are raised."""

        def told(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return score(*args, **kwargs)
            except ModelError as error:
                self._tell(detector, error)
                raise

        return told

    def notes(self) -> tuple[str, ...]:
        """What the status says: that a model failed in the last minute."""
        now = self.now_us()
        lately = any(now - at < SAY_AGAIN_US for at in self._failed_us.values())
        return (NOTES["model-fails"]["en"],) if lately else ()

    def _tell(self, detector: str, error: ModelError) -> None:
        now = self._failed_us[detector] = self.now_us()
        said = self._said_us.get(detector)
        if said is None or now - said >= SAY_AGAIN_US:
            self._said_us[detector] = now
            _log.warning("detector %s: %s; what it fails at is not measured", detector, error)
