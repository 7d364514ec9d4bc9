"""What is said to a client whose request is not answered."""

from collections.abc import Mapping

from apparel.serve.limits import Limits


class HttpError(Exception):
    """A request is not answered; the message is for the client, and tells what to do."""

    def __init__(
        self, status: int, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def busy(why: str) -> HttpError:
    """There is too much to do."""
    return HttpError(503, f"The server is busy: {why}. Try again.", headers={"Retry-After": "1"})


def ending() -> HttpError:
    """The server cannot wait for this request any longer."""
    return HttpError(
        503, "The server is about to end. Ask another, or again.", headers={"Retry-After": "1"}
    )


def too_large(limits: Limits) -> str:
    """What is said of a body that is too large."""
    return f"The request is too large: at most {limits.body_bytes:,} bytes are taken."
