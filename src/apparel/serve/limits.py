"""What a server takes, and how long it waits."""

from dataclasses import dataclass, fields

from apparel.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a server takes, and how long it waits. Nothing is without limit.

    Attributes:
        body_bytes: of one request.
        held_bytes: of all requests that are being read or answered, together.
        images: of one request.
        pixels: of one image as it was sent, height times width.
        read_seconds: to receive one request, from its first byte to its last.
        answer_seconds: to answer a request that was received; one that has waited longer is
            dropped before it costs anything.
        connections: open at once.
        queue: images that wait for an answer.
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
        if self.held_bytes < self.body_bytes:
            raise UsageError(
                f"one request may have {self.body_bytes:,} bytes, but all together only "
                f"{self.held_bytes:,}. Allow all together at least as many."
            )
        if self.queue < self.images:
            raise UsageError(
                f"one request may have {self.images:,} images, but only {self.queue:,} may wait. "
                "Let at least as many wait."
            )
