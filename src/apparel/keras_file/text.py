"""JSON that has one meaning only: no name twice, no numbers that are none, not deep."""

import json
import math
from typing import Any

from apparel.core.messages import shown
from apparel.keras_file.problems import MalformedError, ProblemError

# Bytes of a configuration. One layer takes some 1,500.
MAX_TEXT = 1 << 20
MAX_DEPTH = 24
# Digits of a whole number; 64 bits have 20.
MAX_DIGITS = 20


def parse(content: bytes, name: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        content: at most `MAX_TEXT` bytes.
        name: what messages call it.

    Raises:
        ProblemError: it is no JSON object of the strict form, or too deep.
    """
    try:
        found = json.loads(
            content.decode(),
            object_pairs_hook=_once,
            parse_constant=_refused,
            parse_int=_whole,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"its {name} is no JSON ({shown(str(error))})") from None
    if not isinstance(found, dict):
        raise MalformedError(f"its {name} is {shown(found)}, expected a JSON object")
    _check_depth(found, name)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ProblemError("its JSON has a name twice in one object")
    return found


def _refused(constant: str) -> None:
    raise ProblemError(f"its JSON has the number {constant}")


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ProblemError(f"its JSON has a number of {len(digits):,} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits) if len(digits) <= 4 * MAX_DIGITS else math.inf
    if not math.isfinite(value):
        raise ProblemError(f"its JSON has the number {shown(digits)}")
    return value


def _check_depth(found: Any, name: str) -> None:
    """Refuse more nesting than `MAX_DEPTH`, level by level."""
    level = [found]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ProblemError(f"its {name} is nested more than {MAX_DEPTH} deep")
