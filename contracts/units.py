"""Units as UCUM codes (`m3/h`, `kPa`, `Cel`), checked and converted by ucumvert and pint."""

from __future__ import annotations

import re
from functools import cache
from math import isclose
from typing import Any

MAX_LENGTH = 64
"""Of a code, in characters: the parser descends with each."""
# 10*9999999 is a UCUM code, and a number of ten million digits.
_LONG_NUMBER = re.compile("[0-9]{6}")


class UnitError(ValueError):
    """Not a UCUM code, or two codes that measure different things."""


@cache
def _registry() -> Any:
    # Loading pint takes a second, and most processes never convert.
    from ucumvert import PintUcumRegistry  # type: ignore[import-untyped]

    return PintUcumRegistry()


@cache
def _unit(code: str) -> Any:
    from lark.exceptions import LarkError
    from pint.errors import PintError
    from ucumvert.parser import InvalidUcumError  # type: ignore[import-untyped]

    if len(code) > MAX_LENGTH or _LONG_NUMBER.search(code):
        raise UnitError(
            f"expected a UCUM code of at most {MAX_LENGTH} characters and numbers below 100000, "
            f"got {code[:MAX_LENGTH]!r}"
        )
    try:
        found = _registry().from_ucum(code)
        # An annotation alone, as {packets}, is the unity (UCUM, section 12); ucumvert gives its
        # token back.
        return _registry().from_ucum("1") if isinstance(found, str) else found
    except (LarkError, PintError, InvalidUcumError, ValueError, KeyError) as error:
        raise UnitError(f"expected a UCUM code such as m3/h, kPa or Cel, got {code!r}") from error


def check_unit(code: str) -> None:
    """Raises UnitError unless `code` is a UCUM code."""
    _unit(code)


@cache
def conversion(source: str, target: str) -> tuple[float, float]:
    """`(factor, offset)` with target = factor · source + offset.

    Raises UnitError when a code is not UCUM or the two measure different things.
    """
    if source == target:
        return 1.0, 0.0
    from pint.errors import PintError

    have, want = _unit(source), _unit(target)
    if have.units.dimensionality != want.units.dimensionality:
        raise UnitError(f"{source} cannot be converted to {target}")
    try:
        zero, one, two = (_convert(value, have, want) for value in (0.0, 1.0, 2.0))
    except (PintError, ArithmeticError, ValueError) as error:
        raise UnitError(f"{source} cannot be converted to {target}: {error}") from error
    # Logarithmic units (dB, pH) have no factor.
    if not isclose(two - one, one - zero, rel_tol=1e-9) or one == zero:
        raise UnitError(f"{source} cannot be converted to {target} by a factor")
    return one - zero, zero


def _convert(value: float, have: Any, want: Any) -> float:
    # A UCUM code may carry a number of its own (10*3/uL): pint keeps it as the magnitude.
    quantity = _registry().Quantity(value * have.magnitude, have.units)
    return float(quantity.to(want.units).magnitude) / float(want.magnitude)
