"""Checks of single values of a configuration, from which the tables of what may occur are made."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from apparel.core.messages import shown
from apparel.keras_file.problems import UPDATE, ProblemError

# Refuses a value with a ProblemError, which calls it by the name that is given.
Check: TypeAlias = Callable[[Any, str], None]
Table: TypeAlias = Mapping[str, Check]

MAX_WHOLE = (1 << 63) - 1
# Letters of a name of a layer or model.
MAX_NAME = 200


def rule(right: Callable[[Any], bool], expected: str) -> Check:
    """Make a check of one condition.

    Args:
        right: tells whether a value may stand.
        expected: what may, for the message.
    """

    def check(value: Any, name: str) -> None:
        if not right(value):
            raise ProblemError(f"{name} is {shown(value)}, expected {expected}")

    return check


def is_whole(value: Any, low: int = 0, high: int = MAX_WHOLE) -> bool:
    """Tell whether a value is a whole number of a range; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def whole(low: int, high: int) -> Check:
    """A whole number of a range."""
    return rule(lambda value: is_whole(value, low, high), f"a whole number of {low:,} to {high:,}")


def number(low: float, high: float) -> Check:
    """A number of a range, whole or not."""

    def right(value: Any) -> bool:
        real = isinstance(value, int | float) and not isinstance(value, bool)
        return real and math.isfinite(value) and low <= value <= high

    return rule(right, f"a number of {low:g} to {high:g}")


def choice(*values: object) -> Check:
    """One of some texts, or None where that is among them."""

    def right(value: Any) -> bool:
        return (value is None or isinstance(value, str)) and value in values

    listed = ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")  # noqa: PLR2004  # a line's worth
    return rule(right, f"one of {listed}")


def optional(check: Check) -> Check:
    """As a check says, or None."""

    def check_some(value: Any, name: str) -> None:
        if value is not None:
            check(value, name)

    return check_some


def kinds(plain: Check, *, made: Check | None = None, many: Check | None = None) -> Check:
    """As one of several checks says, depending on what a value is.

    Args:
        plain: of anything else.
        made: of objects.
        many: of lists.
    """

    def check(value: Any, name: str) -> None:
        if made and isinstance(value, dict):
            made(value, name)
        elif many and isinstance(value, list):
            many(value, name)
        else:
            plain(value, name)

    return check


def listed(check: Check, low: int, high: int) -> Check:
    """A list of so many values, each as a check says."""

    def every(value: Any, name: str) -> None:
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise ProblemError(f"{name} is {shown(value)}, expected a list of {low} to {high}")
        for inner in value:
            check(inner, name)

    return every


def _is_name(value: Any) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_NAME
        and value.isprintable()
        and not set(value) & {"/", "\\"}
    )


an_object = rule(lambda value: isinstance(value, dict), "an object")
a_list = rule(lambda value: isinstance(value, list), "a list")
flag = rule(lambda value: isinstance(value, bool), "true or false")
false = rule(lambda value: value is False, "false")
nothing = rule(lambda value: value is None, "null")
label = rule(_is_name, f"a name of up to {MAX_NAME} letters without slashes")
any_whole = whole(0, MAX_WHOLE)
share = number(0, 1)
positive = number(0, 1e9)
real = number(-1e9, 1e9)


def check_table(
    found: Any, table: Table, name: str, *, needed: frozenset[str] = frozenset()
) -> None:
    """Refuse an object that has what a table does not, or something in another way.

    Args:
        found: the object.
        table: keys → checks of their values.
        name: what messages call the object.
        needed: keys that must be there.

    Raises:
        ProblemError: it is no object, or has or lacks something.
    """
    if not isinstance(found, dict):
        raise ProblemError(f"{name} is {shown(found)}, expected an object")
    lacking = sorted(needed - found.keys())
    if lacking:
        raise ProblemError(f"{name} lacks {lacking[0]}")
    for key, value in found.items():
        if key not in table:
            raise ProblemError(f"{name} has {shown(key)}, which is not known of it", remedy=UPDATE)
        table[key](value, f"{key} of {name}")
