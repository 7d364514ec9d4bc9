"""Messages: whether progress is shown; foreign text, printable, on one line and not too long.

File names, values from files and messages of libraries may hold line breaks, commands to a
terminal, or megabytes.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TextIO, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MAX_NAME, MAX_REASON, MAX_VALUE = 1000, 300, 60
MOST_LISTED = 6
# Kinds of characters that no line can show: control characters, halves of characters as in names
# of files that are not UTF-8, and ends of lines.
_UNSHOWN = {"Cc", "Cs", "Zl", "Zp"}
# True while a command runs, False in a quiet function that a program calls, else None.
_VERBOSE: ContextVar[bool | None] = ContextVar("verbose", default=None)


@contextmanager
def verbose() -> Iterator[None]:
    """Show progress and results, in quiet functions as well, as the command does."""
    before = _VERBOSE.set(True)
    try:
        yield
    finally:
        _VERBOSE.reset(before)


def quiet(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function show no progress and no results, unless the command calls it."""

    @wraps(function)
    def quietly(*args: P.args, **kwargs: P.kwargs) -> T:
        before = _VERBOSE.set(_VERBOSE.get() or False)
        try:
            return function(*args, **kwargs)
        finally:
            _VERBOSE.reset(before)

    return quietly


def is_verbose() -> bool:
    """Tell whether progress and results are shown here."""
    return _VERBOSE.get() is not False


def say(
    line: str = "", *, end: str = "\n", file: TextIO | None = None, flush: bool = False
) -> None:
    """Print a line of progress or of results where these are shown, by default on stdout."""
    if is_verbose():
        print(line, end=end, file=file, flush=flush)


def fits_one_line(text: str) -> bool:
    """Tell whether all characters of a name can be shown on one line."""
    return not any(unicodedata.category(letter) in _UNSHOWN for letter in text)


def printable(text: str, limit: int = MAX_NAME) -> str:
    """Escape what cannot be printed, and cut off what is beyond a limit.

    Args:
        text: a name or another piece of foreign text.
        limit: number of characters that are kept.
    """
    kept = text[: limit + 1]
    if not kept.isprintable():
        kept = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in kept)
    return kept if len(kept) <= limit else f"{kept[: limit - 3]}..."


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number of things: '1 image', '2,000 images'; `many` where the plural is no -s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def shown(value: object) -> str:
    """Give the representation of a value from a file, text in quotes, in at most 60 characters."""
    # Written out in full, a long list takes time.
    if isinstance(value, list | tuple | dict) and len(value) > MAX_VALUE:
        return f"{len(value):,} entries"
    if isinstance(value, str | bytes):
        value = value[: MAX_VALUE + 1]
    text = repr(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 4] + "..." + text[-1]


def reason(error: BaseException | str) -> str:
    """Give the text of an error: some libraries say nothing, and some quote the file."""
    said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return printable(said, MAX_REASON)


def listed(names: Iterable[str]) -> str:
    """List the first few of some names, or say that there are none."""
    found = [printable(name, MAX_VALUE) for name in names]
    more = ["..."] if len(found) > MOST_LISTED else []
    return ", ".join([*found[:MOST_LISTED], *more]) or "none"


def duration(seconds: float) -> str:
    """Give a duration in one or two units: 8 s, 1 min 20 s, 2 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes_of_hour} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
