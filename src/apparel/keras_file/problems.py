"""Why a model file is refused, as a clause of the message that names the file."""

REMEDY = "Give a .keras file that apparel or Keras 3 saved."
# Later versions of Keras may write more than is known here.
UPDATE = f"{REMEDY.removesuffix('.')}; if a newer Keras saved it, update: pip install -U apparel"
# Names from a file are shown so far.
SHOWN = 60


class ProblemError(Exception):
    """Something in a file that image classifiers of Keras's own layers do not have.

    Attributes:
        verdict: what the file is, for the message.
        remedy: what to do next, for the message.
    """

    verdict = "is a Keras model, but not one that apparel opens"

    def __init__(self, reason: str, *, remedy: str = REMEDY) -> None:
        super().__init__(reason)
        self.remedy = remedy


class MalformedError(ProblemError):
    """Bytes that are no Keras file, or no longer one."""

    verdict = "is not a model that Keras can open"


def shown(name: object) -> str:
    """Something from a file, as a message may show it: short, on one line."""
    # Written out in full, a long list or number takes time.
    if isinstance(name, list | tuple | dict) and len(name) > SHOWN:
        return f"{len(name):,} entries"
    text = ascii(name)
    return text if len(text) <= SHOWN else text[: SHOWN - 4] + "..." + text[-1]
