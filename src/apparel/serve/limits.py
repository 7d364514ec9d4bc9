"""Limits of the server, and the error that refuses a request."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from apparel.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Sizes and durations that the server allows.

    Attributes:
        body_bytes: size of one request's body.
        held_bytes: size of all bodies that are being read or answered, together.
        images: number of images in one request.
        pixels: height times width of one image as it was sent.
        read_seconds: time to receive one request, from its first byte to its last.
        answer_seconds: time from a request's last byte to its response; a request that has waited
            longer is dropped before any work is done on it.
        connections: number of open connections.
        queue: number of images that wait for an answer.
    """

    body_bytes: int = 8 << 20
    held_bytes: int = 12 << 20
    images: int = 64
    pixels: int = 25_000_000
    read_seconds: float = 10
    answer_seconds: float = 5
    connections: int = 512
    queue: int = 128

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: one is not above 0, or they contradict each other.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise UsageError(
                    f"the limit {field.name.replace('_', ' ')} is {value}, but must be above 0."
                )
        if self.queue < self.images:
            raise UsageError(
                f"one request may have {self.images:,} images, but only {self.queue:,} may wait. "
                "Let at least as many wait."
            )


class HttpError(Exception):
    """A refused request: its status, and a message for the client that says what to do."""

    def __init__(
        self, status: int, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def busy(reason: str) -> HttpError:
    """Build the error for a request that finds too much work."""
    message = f"The server is busy: {reason}. Try again."
    return HttpError(503, message, headers={"Retry-After": "1"})
