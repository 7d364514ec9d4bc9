"""Why a model file is refused, as a clause of the message that names the file."""

REMEDY = "Write one with: apparel export RUN --format onnx"
# Names from a file are shown so far.
SHOWN = 60


class ProblemError(Exception):
    """Something in a file that apparel's own files do not have.

    Attributes:
        verdict: what the file is, for the message.
        remedy: what to do next, for the message.
    """

    verdict = "is an ONNX model, but not one that apparel wrote"

    def __init__(self, reason: str, *, remedy: str = REMEDY) -> None:
        super().__init__(reason)
        self.remedy = remedy


class MalformedError(ProblemError):
    """Bytes that are no ONNX file, or no longer one."""

    verdict = "is no ONNX file, or a damaged one"


def shown(name: object) -> str:
    """Something from a file, as a message may show it: short, on one line."""
    text = ascii(name)
    return text if len(text) <= SHOWN else text[: SHOWN - 4] + "..." + text[-1]
