"""Why an ONNX file is refused."""

REMEDY = "Write one with: apparel export RUN --format onnx"


class ProblemError(Exception):
    """Something in a file that apparel's own files do not have.

    Attributes:
        verdict: what the file is, for the message.
        remedy: what to do next, for the message.
    """

    verdict = "is an ONNX model, but not one that apparel wrote"
    remedy = REMEDY

    def __init__(self, reason: str, *, remedy: str | None = None) -> None:
        super().__init__(reason)
        if remedy is not None:
            self.remedy = remedy


class MalformedError(ProblemError):
    """Bytes that are no ONNX file, or a damaged one."""

    verdict = "is no ONNX file, or a damaged one"
