"""Keep off the terminal what Ray prints, which is in its logs as well."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

_STDERR = 2


@contextmanager
def only_ours() -> Iterator[TextIO]:
    """Let what others print go nowhere, whether from Python or from C++.

    Ray tells of each process that it lost and starts anew, at length and on standard output, where
    only results belong; and its core warns of each actor that it may restart.

    Yields:
        Where this program's own lines go: what was standard error.
    """
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123  # is no file
        sys.stderr.flush()
        kept = os.dup(_STDERR)
        is_plain = sys.stderr is sys.__stderr__
        with os.fdopen(kept, "w", encoding="utf-8", errors="replace") as own:
            os.dup2(nowhere.fileno(), _STDERR)
            try:
                with redirect_stdout(nowhere):
                    yield own if is_plain else sys.stderr
            finally:
                own.flush()
                os.dup2(kept, _STDERR)
