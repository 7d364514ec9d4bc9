"""Why a file is refused, as a clause of the message that names it."""

# Names from a file are shown so far.
SHOWN = 60


class ProblemError(Exception):
    """Something in a file that must not be there.

    Attributes:
        verdict: what the file is, for the message; of each kind of files.
        remedy: what to do next, for the message; likewise, or of this problem.
    """

    verdict: str
    remedy: str

    def __init__(self, reason: str, *, remedy: str | None = None) -> None:
        super().__init__(reason)
        if remedy is not None:
            self.remedy = remedy


def shown(name: object) -> str:
    """Something from a file, as a message may show it: short, on one line."""
    # Written out in full, a long list or number takes time.
    if isinstance(name, list | tuple | dict) and len(name) > SHOWN:
        return f"{len(name):,} entries"
    text = ascii(name)
    return text if len(text) <= SHOWN else text[: SHOWN - 4] + "..." + text[-1]
