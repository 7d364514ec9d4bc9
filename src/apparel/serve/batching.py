"""Dynamic batching: requests that wait are answered together.

While the model works on a batch, new requests are collected; then all of them, up to a limit, are
the next batch. So a lone request never waits for others, and many cost little more than one.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from apparel.core.records import Prediction
from apparel.serve.limits import busy

# Larger batches answer hardly more images a second, and their requests wait longer.
MAX_BATCH = 64

# The images of one request, and the future of their answers.
_Waiting = tuple[NDArray[np.uint8], "asyncio.Future[list[Prediction]]"]


class Batcher:
    """Answers images together with others that wait. Lives in one event loop.

    Attributes:
        n_waiting: number of images that wait for their turn.
    """

    def __init__(
        self,
        answer: Callable[[NDArray[np.uint8]], Sequence[Prediction]],
        executor: Executor,
        *,
        capacity: int,
        note_batch: Callable[[int], None],
    ) -> None:
        """Start with an empty queue.

        Args:
            answer: function from images, shape (n, h, w, c), to n answers.
            executor: executor that calls it, for one batch at a time.
            capacity: number of images that may wait.
            note_batch: function that is called with the size of each batch.
        """
        self._answer = answer
        self._executor = executor
        self._capacity = capacity
        self._note_batch = note_batch
        self._queue: deque[_Waiting] = deque()
        self._working: asyncio.Task[None] | None = None
        self.n_waiting = 0

    @property
    def is_full(self) -> bool:
        """Tell whether no further image may wait."""
        return self.n_waiting >= self._capacity

    async def answer(self, images: NDArray[np.uint8], deadline: float) -> list[Prediction]:
        """Answer the images of one request.

        Args:
            images: images, shape (n, h, w, c), n of at least 1.
            deadline: time by `time.monotonic` at which the request is given up; images that still
                wait then are dropped.

        Returns:
            One answer an image, in order.

        Raises:
            HttpError: too many images wait, or these have waited too long.
        """
        if self.n_waiting and self.n_waiting + len(images) > self._capacity:
            raise busy(f"{self.n_waiting} images wait already")
        answers: asyncio.Future[list[Prediction]] = asyncio.get_running_loop().create_future()
        self._queue.append((images, answers))
        self.n_waiting += len(images)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await answers
        except TimeoutError:
            raise busy("this request has waited too long") from None

    async def _work(self) -> None:
        """Answer batch after batch until the queue is empty."""
        loop = asyncio.get_running_loop()
        try:
            while batch := self._next_batch():
                images = np.concatenate([images for images, _ in batch])
                self._note_batch(len(images))
                try:
                    found = await loop.run_in_executor(self._executor, self._answer, images)
                except Exception as error:  # noqa: BLE001  # fails the requests, not this loop
                    for _, answers in batch:
                        if not answers.done():
                            answers.set_exception(error)
                else:
                    _hand_out(found, batch)
        finally:
            self._working = None

    def _next_batch(self) -> list[_Waiting]:
        """Take requests from the queue, in order, up to the largest batch."""
        batch: list[_Waiting] = []
        n_images = 0
        while self._queue and (not batch or n_images + len(self._queue[0][0]) <= MAX_BATCH):
            images, answers = self._queue.popleft()
            self.n_waiting -= len(images)
            if not answers.done():  # its deadline has not passed, and its client is there
                batch.append((images, answers))
                n_images += len(images)
        return batch


def _hand_out(found: Sequence[Prediction], batch: Sequence[_Waiting]) -> None:
    """Give each request the answers to its images."""
    start = 0
    for images, answers in batch:
        stop = start + len(images)
        if not answers.done():
            answers.set_result(list(found[start:stop]))
        start = stop
