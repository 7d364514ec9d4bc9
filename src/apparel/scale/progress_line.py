"""How fast a job goes, on a line."""

import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

# The speed is that of the recent past, so that the line follows what the cluster does.
RECENT_SECONDS = 30.0
# Between lines, where they go to a file.
LINE_SECONDS = 10.0


class RateLine:
    """A line that tells how far a job has come: rewritten on a terminal, else one at times."""

    def __init__(
        self,
        total: int,
        done: int,
        stream: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            total: images of the job.
            done: images that an earlier command has done.
            stream: where the line goes.
            clock: tells seconds.
        """
        self._total, self._done, self._stream, self._clock = total, done, stream, clock
        self._recent = deque([(clock(), done)])
        self._told = clock()
        self._on_terminal = stream.isatty()

    def advance(self, n_images: int) -> None:
        """Take note of images that are done."""
        now = self._clock()
        self._done += n_images
        self._recent.append((now, self._done))
        while len(self._recent) > 2 and self._recent[1][0] < now - RECENT_SECONDS:  # noqa: PLR2004  # a speed has two ends
            self._recent.popleft()
        if self._on_terminal:
            self._stream.write(f"\r\x1b[K{self}")
            self._stream.flush()
        elif now - self._told >= LINE_SECONDS:
            self._told = now
            print(self, file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._on_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def __str__(self) -> str:
        """The line."""
        (begin, before), (end, after) = self._recent[0], self._recent[-1]
        rate = (after - before) / max(end - begin, 1e-9)
        share = self._done / max(self._total, 1)
        left = _duration((self._total - self._done) / rate) if rate else "an unknown time"
        return (
            f"{self._done:,} of {self._total:,} images ({share:.0%}), {rate:,.0f} images/s, "
            f"about {left} left"
        )


def _duration(seconds: float) -> str:
    """A duration: 8 s, 1 min 20 s, 2 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes_of_hour} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
