"""Why an ONNX file is refused."""

from apparel.core import messages

REMEDY = "Write one with: apparel export RUN --format onnx"


class ProblemError(messages.ProblemError):
    """Something in a file that apparel's own files do not have."""

    verdict = "is an ONNX model, but not one that apparel wrote"
    remedy = REMEDY


class MalformedError(ProblemError):
    """Bytes that are no ONNX file, or a damaged one."""

    verdict = "is no ONNX file, or a damaged one"
