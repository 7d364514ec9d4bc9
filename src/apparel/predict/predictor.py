"""An exported ONNX file → probabilities, without TensorFlow or Keras in the process."""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apparel.core.errors import DataError, ModelFileError
from apparel.core.model_formats import NOVELTY, PROBABILITIES
from apparel.core.records import Answer, FailedImage, Prediction
from apparel.data.decode import NamedSource
from apparel.predict.engine import open_engine
from apparel.predict.model_file import ModelFile, read_model
from apparel.predict.reading import read_batches

# Images that are answered at once; fewer where they are large, with so many pixel values together.
BATCH_SIZE, VALUES_AT_ONCE = 128, 1 << 20
# How far from 1 the probabilities of an image may sum up: bfloat16 has eight bits of precision.
SUM_TOLERANCE = 0.02


def load(path: str | os.PathLike[str], *, exact: bool = False) -> "Predictor":
    """Open an exported model, to classify images with it.

    Args:
        path: an `.onnx` file, or a run directory that has one.
        exact: compute in float32, even where bfloat16 is faster.

    Returns:
        A predictor that several threads may use at once.

    Raises:
        ModelFileError: the file is missing, broken, unsafe, or was not written by apparel.
    """
    return Predictor(path, exact=exact)


class Predictor:
    """A classifier read from a file that `apparel export` wrote. Several threads may use it.

    Attributes:
        path: of the file.
        facts: the description in the file.
        class_names: one name a class, k of them.
        img_shape: height, width and channels of the input images.
        takes_photos: whether photos are brought into the form of the training images, which is
            known for Fashion-MNIST.
        tells_novelty: whether it tells how unlike its training images an image is.
        threshold: the confidence below which its answer should not count, chosen on validation
            images; 0 for none, None where it is unknown.
        runtime: the inference runtime, with its version and number format.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | ModelFile,
        *,
        exact: bool = False,
        n_threads: int | None = None,
        beside_server: bool = False,
    ) -> None:
        """Open the file, and check its answers to two images.

        Args:
            model: as in `load`, or the result of `read_model`.
            exact: as in `load`.
            n_threads: number of threads that compute; None for one a processor.
            beside_server: as in `engine.open_engine`.

        Raises:
            ModelFileError: as in `load`.
        """
        file = model if isinstance(model, ModelFile) else read_model(model)
        self.path = file.path
        self.facts = file.facts
        self.class_names = self.facts.class_names
        self.img_shape = self.facts.img_shape
        self.takes_photos = self.facts.takes_photos
        self.tells_novelty = self.facts.novelty_threshold is not None
        self.threshold = self.facts.threshold
        self._outputs = [PROBABILITIES, *([NOVELTY] if self.tells_novelty else [])]
        self._step = min(max(VALUES_AT_ONCE // math.prod(self.img_shape), 1), BATCH_SIZE)
        self._engine = open_engine(
            file.content,
            name=os.fspath(self.path),
            exact=exact,
            batch_size=self._step,
            n_threads=n_threads,
            beside_server=beside_server,
        )
        self.runtime = self._engine.name
        self._check_answers()

    def predict(self, images: ArrayLike) -> NDArray[Any]:
        """Give every image's most probable class.

        Args:
            images: as in `predict_proba`.

        Returns:
            Names of classes, shape (n,).

        Raises:
            DataError: as in `predict_proba`.
        """
        names = np.array(self.class_names)
        return np.asarray(names[self.predict_proba(images).argmax(axis=1)])

    def predict_proba(self, images: ArrayLike) -> NDArray[np.float32]:
        """Compute every image's class probabilities.

        Args:
            images: uint8, shape (n, h, w, c) or, of grey images, (n, h, w), 0 to 255.

        Returns:
            Shape (n, k), in the order of `class_names`; rows sum to 1.

        Raises:
            DataError: the images have another type or shape.
            ModelFileError: the answers are no numbers.
        """
        return self._run(self._as_pixels(np.asarray(images)), [PROBABILITIES])[0]

    def predict_images(
        self, paths: Sequence[str | os.PathLike[str]], *, raw: bool = False
    ) -> list[Prediction]:
        """Classify image files.

        Where the model takes photos, each image goes through the steps by which Fashion-MNIST was
        made, as far as it needs them.

        Args:
            paths: files that `decode.read` can read.
            raw: take each image as it is, resized as a whole.

        Returns:
            One prediction a file, in order.

        Raises:
            DataError: a file is missing, broken, or no image.
        """
        found = []
        for answers in self.predict_parts([[(os.fspath(path), path) for path in paths]], raw=raw):
            for answer in answers:
                if isinstance(answer, FailedImage):
                    raise DataError(answer.problem)
                found.append(answer)
        return found

    def predict_parts(
        self,
        parts: Iterable[Iterable[NamedSource]],
        *,
        raw: bool = False,
        n_processes: int | None = None,
    ) -> Iterator[list[Answer]]:
        """Classify any number of images, in parts, each of which is answered as if it were alone.

        Args:
            parts: the name of each image, and its path or what is in its file; taken only a little
                ahead.
            raw: as in `predict_images`.
            n_processes: as in `reading.read_batches`.

        Yields:
            The answers to some images of one part, in order, also to those that cannot be read.
        """
        as_photo = self.takes_photos and not raw
        for batch in read_batches(
            parts, self.img_shape, self._step, as_photo=as_photo, n_processes=n_processes
        ):
            read = [image for image in batch if image.pixels is not None]
            found = iter(
                self.describe(
                    np.stack([image.pixels for image in read if image.pixels is not None]),
                    [image.name for image in read],
                    [image.steps for image in read],
                )
                if read
                else []
            )
            yield [
                FailedImage(name=image.name, problem=image.problem)
                if image.pixels is None
                else next(found)
                for image in batch
            ]

    def describe(
        self,
        images: NDArray[np.uint8],
        names: Sequence[str],
        steps: Sequence[tuple[str, ...]] = (),
    ) -> list[Prediction]:
        """Classify images that were read.

        Args:
            images: uint8, shape (n, *img_shape), n of at least 1.
            names: one an image.
            steps: those that brought each image into the form of the training images, if any.

        Returns:
            One prediction an image, in order.

        Raises:
            ModelFileError: the answers are no numbers.
        """
        rows, *scores = self._run(self._as_pixels(images), self._outputs)
        limit = self.facts.novelty_threshold
        novelty = _in_multiples(scores[0], limit).tolist() if limit else [None] * len(names)
        return [
            Prediction(
                name=name,
                probabilities=row,
                class_names=self.class_names,
                image=image,
                novelty=score,
                steps=taken,
            )
            for name, row, image, score, taken in zip(
                names, rows, images, novelty, steps or [()] * len(names), strict=True
            )
        ]

    def explain(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Find the pixels that the model needs to see for its most probable class.

        Args:
            images: uint8, shape (n, *img_shape), n of at least 1.

        Returns:
            Shape (n, h, w), each map 0 to 1: how far the answer suffers where a part is covered.

        Raises:
            DataError: the images have another type or shape.
        """
        from apparel.explain.occlusion import occlusion_maps  # noqa: PLC0415  # for --explain

        pixels = self._as_pixels(images)
        return occlusion_maps(self._log_odds, pixels, self.predict_proba(pixels).argmax(axis=1))

    def _log_odds(
        self, images: NDArray[np.uint8], classes: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The logarithm of p / (1 - p), p the probability of each image's class; shape (n,)."""
        probabilities = self.predict_proba(images).astype(np.float64)
        of_class = np.arange(probabilities.shape[1]) == classes[:, None]
        least = np.finfo(np.float32).tiny
        # The others are summed: 1 - p would be 0 where p is nearly 1.
        others = np.where(of_class, 0, probabilities).sum(axis=1)
        return np.asarray(
            np.log(np.maximum(probabilities[of_class], least)) - np.log(np.maximum(others, least))
        )

    def _as_pixels(self, images: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Check images, and add a channel axis to grey ones.

        Raises:
            DataError: they have another type or shape.
        """
        is_grey = images.ndim == len(self.img_shape) and self.img_shape[2] == 1
        pixels = images[..., None] if is_grey else images
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.img_shape or not len(pixels):
            raise DataError(
                f"images must be uint8 of shape (n, {', '.join(map(str, self.img_shape))}) with "
                f"n of at least 1, but are {images.dtype} of shape {images.shape}."
            )
        return np.asarray(pixels, np.uint8)

    def _check_answers(self) -> None:
        """Answer an image of all grey levels and, unless images are large, a black one.

        Raises:
            ModelFileError: the answers are no probabilities.
        """
        pattern = np.arange(math.prod(self.img_shape), dtype=np.uint32) * 37 % 256
        images = np.stack([pattern, 0 * pattern]).astype(np.uint8).reshape(2, *self.img_shape)
        (rows, *_) = self._run(images[: self._step], self._outputs)
        is_share = (rows >= 0).all() and (np.abs(rows.sum(axis=1) - 1) <= SUM_TOLERANCE).all()
        if rows.shape[1:] != (len(self.class_names),) or not is_share:
            raise self._damaged(f"its answers are no probabilities, such as {rows[0].tolist()[:4]}")

    def _run(self, images: NDArray[np.uint8], outputs: list[str]) -> list[NDArray[np.float32]]:
        """Compute outputs of the model, each for all images.

        Raises:
            ModelFileError: they are no numbers, or the runtime fails.
        """
        try:
            parts = [
                self._engine.run(images[start : start + self._step], outputs)
                for start in range(0, len(images), self._step)
            ]
        except Exception as error:  # the runtimes' errors share no base class
            reason = str(error).partition("\n")[0]
            raise self._damaged(f"{self.runtime} cannot run it ({reason})") from error
        found = [np.concatenate(values) for values in zip(*parts, strict=True)]
        if not all(np.isfinite(values).all() for values in found):
            raise self._damaged("its answers are no numbers")
        return found

    def _damaged(self, why: str) -> ModelFileError:
        return ModelFileError(
            f"{self.path} is damaged: {why}. Write it again with: apparel export RUN --format onnx"
        )


def _in_multiples(scores: NDArray[np.float32], limit: float) -> NDArray[np.float32]:
    """Scores as multiples of a threshold, all finite."""
    with np.errstate(over="ignore"):
        multiples = scores / np.float32(limit)
    return np.asarray(np.minimum(multiples, np.finfo(np.float32).max), np.float32)
