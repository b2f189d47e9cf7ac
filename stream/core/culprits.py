"""What a model fails at, found among what was given to it together."""

from __future__ import annotations

from collections.abc import Callable

from contracts.errors import ModelError

MODEL_FAILED = "model-failed"
"""The reason why a window was not measured: its model raised, or answered no number."""


def culprits(run: Callable[[slice], None], begin: int, end: int) -> list[int]:
    """Calls `run` for places [begin, end), and for ever smaller parts of those with which it raises
    ModelError: the places that fail by themselves. So what stands beside a bad one in a batch,
    which is chance, is measured all the same.
    """
    if begin == end:
        return []
    try:
        run(slice(begin, end))
    except ModelError:
        if end - begin == 1:
            return [begin]
        middle = (begin + end) // 2
        return culprits(run, begin, middle) + culprits(run, middle, end)
    return []
