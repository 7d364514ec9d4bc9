"""Images as clients send them → answers, decoded beside the event loop and answered in batches."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.core.records import Answer, FailedImage, Prediction
from apparel.data import decode
from apparel.predict.predictor import Predictor
from apparel.predict.reading import read_image
from apparel.serve.batching import Batcher
from apparel.serve.limits import Limits, busy
from apparel.serve.metrics import Metrics

# Requests whose images may wait for the image thread.
MAX_WAITING = {"decoding": 64, "explaining": 8}
# A file of so few bytes and pixels is decoded faster than another thread is asked to.
SMALL_BYTES, SMALL_PIXELS = 16 << 10, 64 * 64

Read = tuple[NDArray[np.uint8], tuple[str, ...]] | FailedImage
# An answer, and how much each pixel mattered for it: shape (h, w), 0 to 1; None where that was not
# asked for, or the image is unreadable.
Explained = tuple[Answer, NDArray[np.float32] | None]
Result_ = TypeVar("Result_")


class Service:
    """A model that is ready to answer. Lives in one event loop.

    Attributes:
        predictor: the model.
        limits: limits on requests.
        metrics: counts of the work done.
        is_ready: whether it accepts new requests; false once the server is told to end.
        batcher: queue of images that wait for an answer.
    """

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self.predictor = predictor
        self.limits = limits
        self.metrics = Metrics(lambda: self.batcher.n_waiting)
        self.is_ready = True
        self._model_thread = ThreadPoolExecutor(1, "model")
        # One thread, as large photos take much memory while they are decoded.
        self._image_thread = ThreadPoolExecutor(1, "images")
        self._n_waiting = Counter[str]()
        self.batcher: Batcher = Batcher(
            lambda images: predictor.describe(images, [""] * len(images)),
            self._model_thread,
            capacity=limits.queue,
            note_batch=self.metrics.batch_sizes.observe,
        )

    def is_full(self, n_requests: int) -> bool:
        """Tell whether a new request is turned away now.

        Args:
            n_requests: number of requests that are being answered. The newest are not in the queue
                yet.
        """
        return self.is_ready and (self.batcher.is_full or n_requests >= self.limits.queue)

    async def answer_tensor(self, images: NDArray[np.uint8]) -> list[Prediction]:
        """Answer images that are pixels already.

        Args:
            images: uint8, shape (n, *img_shape), n of at least 1.

        Raises:
            HttpError: too many images wait, or these took too long.
        """
        answers = await self.batcher.answer(images, self._deadline())
        self._count(answers)
        return answers

    async def answer_files(
        self, files: Sequence[tuple[str, bytes]], *, raw: bool, explain: bool
    ) -> list[Explained]:
        """Answer image files.

        Args:
            files: name and content of each.
            raw: do not bring photos into the form of the training images.
            explain: also find the pixels that each answer rests on.

        Returns:
            One answer a file, in order.

        Raises:
            HttpError: too many images wait, or these took too long.
        """
        deadline = self._deadline()
        decode_steps = [partial(self._read, file, raw=raw) for file in files]
        if len(files) == 1 and _is_small(files[0][1]):
            read = [decode_steps[0]()]
        else:
            read = await self._in_image_thread("decoding", decode_steps, deadline)
        images = [one[0] for one in read if not isinstance(one, FailedImage)]
        found = iter(await self.batcher.answer(np.stack(images), deadline) if images else ())
        answers: list[Answer] = [
            one if isinstance(one, FailedImage) else replace(next(found), name=name, steps=one[1])
            for (name, _), one in zip(files, read, strict=True)
        ]
        self._count(answers)
        if not explain or not images:
            return [(answer, None) for answer in answers]
        explain_steps = [
            partial(self._explain, np.asarray(answer.image, np.uint8))
            for answer in answers
            if isinstance(answer, Prediction)
        ]
        maps = iter(await self._in_image_thread("explaining", explain_steps, deadline))
        return [
            (answer, next(maps) if isinstance(answer, Prediction) else None) for answer in answers
        ]

    def close(self) -> None:
        """End the threads."""
        self._model_thread.shutdown(cancel_futures=True)
        self._image_thread.shutdown(cancel_futures=True)

    def _deadline(self) -> float:
        """Compute the time at which a request that has just arrived is given up."""
        return time.monotonic() + self.limits.answer_seconds

    def _count(self, answers: Sequence[Answer]) -> None:
        self.metrics.count_answers(answers, self.predictor.threshold or 0)

    async def _in_image_thread(
        self, work: str, steps: Iterable[Callable[[], Result_]], deadline: float
    ) -> list[Result_]:
        """Take the steps of a request one by one, in turn with other requests, if there is time."""
        if self._n_waiting[work] >= MAX_WAITING[work]:
            raise busy(f"{self._n_waiting[work]} requests wait for {work}")
        self._n_waiting[work] += 1
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return [await loop.run_in_executor(self._image_thread, step) for step in steps]
        except TimeoutError:
            raise busy(f"{work} takes too long") from None
        finally:
            self._n_waiting[work] -= 1

    def _read(self, file: tuple[str, bytes], *, raw: bool) -> Read:
        """Decode a file as the model takes it."""
        name, content = file
        as_photo = self.predictor.takes_photos and not raw
        try:
            return read_image(content, self.predictor.img_shape, name=name, as_photo=as_photo)
        except DataError as error:
            return FailedImage(name=name, problem=str(error))

    def _explain(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(self.predictor.explain(image[None])[0])


def _is_small(content: bytes) -> bool:
    """Tell whether a file is decoded in no time."""
    if len(content) > SMALL_BYTES:
        return False
    try:
        height, width = decode.image_size(content)
    except DataError:  # is reported when the file is read
        return True
    return height * width <= SMALL_PIXELS
