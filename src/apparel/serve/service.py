"""Images as clients send them → answers, decoded beside the event loop and answered in batches."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from apparel.core.errors import DataError
from apparel.core.records import Answer, FailedImage, Prediction
from apparel.data import decode
from apparel.predict.predictor import Predictor
from apparel.predict.reading import read_image
from apparel.serve.batching import Batcher
from apparel.serve.http_errors import busy
from apparel.serve.limits import Limits
from apparel.serve.metrics import Metrics

# Requests whose images may wait to be decoded or explained.
MOST_DECODING, MOST_EXPLAINING = 64, 8
# A file of so few bytes and pixels is decoded faster than a thread is asked to.
SMALL_BYTES, SMALL_PIXELS = 16 << 10, 64 * 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Explained:
    """An answer, and the pixels that it rests on.

    Attributes:
        answer: what is said of the image.
        evidence: shape (h, w), 0 to 1; None where nobody asked or nothing could be read.
    """

    answer: Answer
    evidence: NDArray[np.float32] | None = None


class Service:
    """A model that is ready to answer. Lives in one event loop.

    Attributes:
        predictor: the model.
        limits: what it takes.
        metrics: what it has done.
        is_ready: whether it takes new requests; false once it is told to end.
        batcher: what waits for an answer.
    """

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self.predictor = predictor
        self.limits = limits
        self.metrics = Metrics()
        self.is_ready = True
        self._model_thread = ThreadPoolExecutor(1, "model")
        # One: large photos take much memory while they are decoded.
        self._image_thread = ThreadPoolExecutor(1, "images")
        self._n_decoding = self._n_explaining = 0
        self.batcher: Batcher[Prediction] = Batcher(
            self._describe,
            self._model_thread,
            capacity=limits.queue,
            note_batch=self.metrics.batch_sizes.observe,
        )
        self.metrics.watch_queue(lambda: self.batcher.n_waiting)

    def is_full(self, n_requests: int) -> bool:
        """Whether a new request is turned away now.

        Args:
            n_requests: that are being answered. Those that have only just come are not in the queue
                yet.
        """
        return self.is_ready and (self.batcher.is_full or n_requests >= self.limits.queue)

    async def answer_tensor(self, images: NDArray[np.uint8]) -> list[Prediction]:
        """Answer images that are pixels already.

        Args:
            images: uint8, shape (n, *img_shape), n of at least 1.

        Raises:
            HttpError: too much waits.
        """
        answers = await self.batcher.answer(images, self._deadline())
        self._count(answers)
        return answers

    async def answer_files(
        self, files: Sequence[tuple[str, bytes]], *, raw: bool, explain: bool
    ) -> list[Explained]:
        """Answer image files.

        Args:
            files: the name and content of each.
            raw: take photos as they are.
            explain: say which pixels the answers rest on.

        Returns:
            One answer a file, in order.

        Raises:
            HttpError: too much waits.
        """
        deadline = self._deadline()
        as_photo = self.predictor.takes_photos and not raw
        read = await self._read(files, deadline, as_photo=as_photo)
        images = [found[0] for found in read if not isinstance(found, FailedImage)]
        said = iter(await self.batcher.answer(np.stack(images), deadline) if images else ())
        answers: list[Answer] = []
        for (name, _), found in zip(files, read, strict=True):
            if isinstance(found, FailedImage):
                answers.append(found)
            else:
                answers.append(replace(next(said), name=name, steps=found[1]))
        self._count(answers)
        if explain:
            return await self._explained(answers, deadline)
        return [Explained(answer=answer) for answer in answers]

    def close(self) -> None:
        """End the threads."""
        self._model_thread.shutdown(cancel_futures=True)
        self._image_thread.shutdown(cancel_futures=True)

    def _deadline(self) -> float:
        """Until when a request that has just been received must be answered."""
        return time.monotonic() + self.limits.answer_seconds

    def _describe(self, images: NDArray[np.uint8]) -> list[Prediction]:
        return self.predictor.describe(images, [""] * len(images))

    def _count(self, answers: Sequence[Answer]) -> None:
        self.metrics.count_answers(answers, self.predictor.threshold or 0)

    async def _read(
        self, files: Sequence[tuple[str, bytes]], deadline: float, *, as_photo: bool
    ) -> list[tuple[NDArray[np.uint8], tuple[str, ...]] | FailedImage]:
        """Decode files, small ones at once, others in the thread for that.

        Raises:
            HttpError: too many wait to be decoded.
        """
        read = partial(_read_all, files, self.predictor.img_shape, deadline, as_photo=as_photo)
        if len(files) == 1 and _is_small(files[0][1]):
            return read()
        if self._n_decoding >= MOST_DECODING:
            raise busy(f"the images of {self._n_decoding} requests wait to be decoded")
        self._n_decoding += 1
        try:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(deadline - time.monotonic()):
                return await loop.run_in_executor(self._image_thread, read)
        except TimeoutError:
            raise busy("decoding takes too long") from None
        finally:
            self._n_decoding -= 1

    async def _explained(self, answers: Sequence[Answer], deadline: float) -> list[Explained]:
        """Say which pixels answers rest on.

        Raises:
            HttpError: too many wait to be explained, or it takes too long.
        """
        images = [np.asarray(a.image, np.uint8) for a in answers if isinstance(a, Prediction)]
        if not images:
            return [Explained(answer=answer) for answer in answers]
        if self._n_explaining >= MOST_EXPLAINING:
            raise busy(f"{self._n_explaining} requests wait to be explained")
        self._n_explaining += 1
        try:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(deadline - time.monotonic()):
                maps = iter(
                    [
                        (await loop.run_in_executor(self._image_thread, self._explain, image))
                        for image in images
                    ]
                )
        except TimeoutError:
            raise busy("explaining takes too long") from None
        finally:
            self._n_explaining -= 1
        return [
            Explained(answer=a, evidence=next(maps) if isinstance(a, Prediction) else None)
            for a in answers
        ]

    def _explain(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(self.predictor.explain(image[None])[0])


def _is_small(content: bytes) -> bool:
    """Whether a file is decoded in no time."""
    if len(content) > SMALL_BYTES:
        return False
    try:
        height, width = decode.image_size(content)
    except DataError:  # is said when it is read
        return True
    return height * width <= SMALL_PIXELS


def _read_all(
    files: Sequence[tuple[str, bytes]],
    img_shape: tuple[int, int, int],
    deadline: float,
    *,
    as_photo: bool,
) -> list[tuple[NDArray[np.uint8], tuple[str, ...]] | FailedImage]:
    """Decode files as the model takes them.

    Raises:
        TimeoutError: the deadline has passed, and nobody waits any more.
    """
    read: list[tuple[NDArray[np.uint8], tuple[str, ...]] | FailedImage] = []
    for name, content in files:
        if time.monotonic() > deadline:
            raise TimeoutError
        try:
            read.append(read_image(content, img_shape, name=name, as_photo=as_photo))
        except DataError as error:
            read.append(FailedImage(name=name, problem=str(error)))
    return read
