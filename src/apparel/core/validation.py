"""Checks of user input: a plain value, or an error that says what to give instead."""

import math
import operator
from numbers import Real

from apparel.core.errors import UsageError

UNITS = {"s": 1, "m": 60, "h": 3600}


def whole_number(name: str, value: object, *, minimum: int) -> int:
    """Return `value` as a plain `int`.

    Raises:
        UsageError: it is not a whole number, or is below `minimum`.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # any object may be tried
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < minimum:
        raise UsageError(
            f"{name} must be a whole number of at least {minimum}, but is {value!r}. "
            f"Give a whole number, for example {name}={max(minimum, 1)}."
        )
    return number


def real_number(name: str, value: object) -> float:
    """Return `value` as a plain `float`.

    Raises:
        UsageError: it is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UsageError(f"{name} must be a number, but is {value!r}. Give one, such as 0.1.")
    return float(value)


def checked_seed(seed: object, name: str = "seed") -> int:
    """Return a seed as a plain `int`.

    Raises:
        UsageError: it is no whole number of 0 to 2**32 - 1, which NumPy's seeds are.
    """
    number = whole_number(name, seed, minimum=0)
    if number >= 2**32:
        raise UsageError(f"{name} must be below 2**32, but is {number}. Give a smaller one.")
    return number


def checked_share(name: str, value: object, advice: str) -> float:
    """Return a share of 0 to 1, both included, as a plain `float`.

    Raises:
        UsageError: it is no number in that range.
    """
    number = real_number(name, value)
    if not 0 <= number <= 1:
        raise UsageError(f"{name} must lie in 0 to 1, but is {number!r}. {advice}")
    return number


def checked_positive(name: str, value: object, advice: str) -> float:
    """Return a finite number above 0 as a plain `float`.

    Raises:
        UsageError: it is no such number.
    """
    number = real_number(name, value)
    if not 0 < number < math.inf:
        raise UsageError(f"{name} must be above 0 and finite, but is {number!r}. {advice}")
    return number


def parse_time(name: str, text: str) -> float:
    """Read a time such as 60s, 10m, 1h or 1.5h.

    Args:
        name: name of the option, for the message.
        text: a number and a unit.

    Returns:
        Seconds, above 0.

    Raises:
        UsageError: it is no such time.
    """
    number, unit = text.strip()[:-1], text.strip()[-1:]
    try:
        seconds = float(number) * UNITS[unit]
    except (KeyError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(
            f"{name} must be a time above 0 with its unit, but is {text!r}. "
            "For example 60s, 10m or 1h."
        )
    return seconds
