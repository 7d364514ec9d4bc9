"""Requests that wait are answered together.

While the model works on a batch, what arrives is collected; then all of it, up to a limit, is the
next batch. So a lone request never waits for others, and many requests cost little more than one.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from apparel.serve.http_errors import HttpError, busy

# Larger batches answer hardly more images a second, and their requests wait longer.
LARGEST_BATCH = 64

Answer_ = TypeVar("Answer_")


@dataclass(eq=False)
class _Waiting(Generic[Answer_]):
    """Images of one request, and where their answers go."""

    images: NDArray[np.uint8]
    deadline: float
    answers: "asyncio.Future[list[Answer_]]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Batcher(Generic[Answer_]):
    """Answers images, together with others that wait. Lives in one event loop.

    Attributes:
        n_waiting: images that wait for their turn.
    """

    def __init__(
        self,
        answer: Callable[[NDArray[np.uint8]], Sequence[Answer_]],
        executor: Executor,
        *,
        capacity: int,
        note_batch: Callable[[int], None],
    ) -> None:
        """Begin with nothing to do.

        Args:
            answer: images, shape (n, h, w, c), to n answers; is called by `executor`.
            executor: what answers, one batch at a time.
            capacity: images that may wait.
            note_batch: is told how many images each batch has.
        """
        self._answer = answer
        self._executor = executor
        self._capacity = capacity
        self._note_batch = note_batch
        self._queue: deque[_Waiting[Answer_]] = deque()
        self._working: asyncio.Task[None] | None = None
        self._unanswered: set[_Waiting[Answer_]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self.n_waiting = 0

    @property
    def is_full(self) -> bool:
        """Whether no further image may wait."""
        return self.n_waiting >= self._capacity

    async def answer(self, images: NDArray[np.uint8], deadline: float) -> list[Answer_]:
        """Answer the images of one request.

        Args:
            images: shape (n, h, w, c), n of at least 1.
            deadline: by `time.monotonic`; then nobody waits any more. What still waits for its
                turn then is dropped.

        Returns:
            One answer an image, in order.

        Raises:
            HttpError: too many images wait, or these have waited too long.
        """
        if self.n_waiting and self.n_waiting + len(images) > self._capacity:
            raise busy(f"{self.n_waiting} images wait already")
        waiting: _Waiting[Answer_] = _Waiting(images, deadline)
        self._queue.append(waiting)
        self.n_waiting += len(images)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        self._unanswered.add(waiting)
        if self._timer is None or deadline < self._rings_at:
            self._ring_at(deadline)
        try:
            return await waiting.answers
        finally:
            self._unanswered.discard(waiting)

    def _ring_at(self, deadline: float) -> None:
        """Look at all deadlines then: a timer for each request would cost each some time."""
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = deadline
        wait = max(0.0, deadline - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        """Drop what has waited too long; look again when the next one may have."""
        self._timer = None
        now = time.monotonic()
        for waiting in self._unanswered:
            if waiting.deadline <= now and not waiting.answers.done():
                waiting.answers.set_exception(_too_late())
        pending = [each.deadline for each in self._unanswered if not each.answers.done()]
        if pending:
            self._ring_at(min(pending))

    async def _work(self) -> None:
        """Answer batch after batch until nothing waits."""
        loop = asyncio.get_running_loop()
        try:
            while batch := self._next_batch():
                images = np.concatenate([waiting.images for waiting in batch])
                self._note_batch(len(images))
                try:
                    answers = await loop.run_in_executor(self._executor, self._answer, images)
                except Exception as error:  # noqa: BLE001  # is the requests' to meet, not this loop's
                    for waiting in batch:
                        if not waiting.answers.done():
                            waiting.answers.set_exception(error)
                    continue
                _hand_out(answers, batch)
        finally:
            self._working = None

    def _next_batch(self) -> list[_Waiting[Answer_]]:
        """Take what waits, in order, up to the largest batch; drop what waited too long."""
        batch: list[_Waiting[Answer_]] = []
        n_images, now = 0, time.monotonic()
        while self._queue and (not batch or n_images + len(self._queue[0].images) <= LARGEST_BATCH):
            waiting = self._queue.popleft()
            self.n_waiting -= len(waiting.images)
            if waiting.answers.done():  # its client has gone
                continue
            if waiting.deadline < now:
                waiting.answers.set_exception(_too_late())
                continue
            batch.append(waiting)
            n_images += len(waiting.images)
        return batch


def _too_late() -> HttpError:
    """A request was not answered in time."""
    return busy("this request has waited too long")


def _hand_out(answers: Sequence[Answer_], batch: Sequence[_Waiting[Answer_]]) -> None:
    """Give each request the answers to its images."""
    start = 0
    for waiting in batch:
        stop = start + len(waiting.images)
        if not waiting.answers.done():
            waiting.answers.set_result(list(answers[start:stop]))
        start = stop
