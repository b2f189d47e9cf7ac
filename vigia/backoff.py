"""How long to wait before a part that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S = 0.5
MOST_S = 30.0
STEADY_S = 60.0


@dataclass(slots=True)
class Backoff:
    """Doubles from FIRST_S to MOST_S; a part that ran for STEADY_S starts from the first again.
    So a part that always fails is started at most about 125 times an hour."""

    ends: int = 0
    _row: int = 0

    def after(self, ran_s: float) -> float:
        """The seconds to wait, for a part that ended after `ran_s`."""
        self.ends += 1
        self._row = 0 if ran_s >= STEADY_S else self._row + 1
        return min(FIRST_S * 2.0 ** max(self._row - 1, 0), MOST_S)
