"""An exported ONNX file → probabilities, without TensorFlow or Keras in the process."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel import decode, photo
from apparel.errors import DataError, ModelFileError
from apparel.records import Answer, FailedImage, Prediction

CHANNELS = (1, 3)
# Images that are answered at once; fewer where they are large, with so many pixel values together.
BATCH_SIZE, VALUES_AT_ONCE = 256, 1 << 20
# The data set whose images were made of photos, in steps that are known.
FASHION_MNIST = "fashion-mnist"


class Predictor:
    """A classifier read from a file that `apparel export` wrote.

    Attributes:
        class_names: one name a class, k of them.
        img_shape: height, width and channels of the images that it takes.
        takes_photos: whether photos are brought into the form of its training images, which is
            known for Fashion-MNIST.
        tells_novelty: whether it tells how unlike its training images an image is.
        threshold: the confidence below which its answer should not count, chosen on validation
            images; 0 for none, None where nobody knows.
    """

    class_names: tuple[str, ...]
    img_shape: tuple[int, int, int]
    takes_photos: bool
    tells_novelty: bool
    threshold: float | None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file.

        Args:
            path: an `.onnx` file.

        Raises:
            ModelFileError: it is missing, broken, or was not written by apparel.
        """
        self._session = _open_session(Path(path))
        try:
            facts = self._session.get_modelmeta().custom_metadata_map
            self.class_names = tuple(str(name) for name in json.loads(facts["class_names"]))
            height, width, channels = (int(size) for size in json.loads(facts["img_shape"]))
            self.img_shape = height, width, channels
            self._novelty_threshold = _novelty_threshold(facts)
            self.threshold = _threshold(facts)
            (taken,), given = self._session.get_inputs(), self._session.get_outputs()
            gives = {output.name: output.shape[1:] for output in given}
            described = (taken.name, taken.type, taken.shape[1:], gives)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"{path} is an ONNX model, but not one that apparel wrote: it does not name its "
                "classes and image size. Write one with: apparel export RUN --format onnx"
            ) from error
        wanted = {"probabilities": [len(self.class_names)]}
        self.tells_novelty = self._novelty_threshold is not None
        if self.tells_novelty:
            wanted["novelty"] = []
        self._outputs = list(wanted)
        expected = ("images", "tensor(uint8)", [height, width, channels], wanted)
        if described != expected or channels not in CHANNELS:
            raise ModelFileError(
                f"{path} takes and gives {described}, but its description says {expected}. "
                "Write it again with: apparel export RUN --format onnx"
            )
        self.takes_photos = self.img_shape == photo.IMG_SHAPE and _is_of_fashion_mnist(facts)

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give every image's class probabilities.

        Args:
            images: shape (n, *img_shape), 0 to 255.

        Returns:
            Shape (n, k), rows sum to 1.

        Raises:
            DataError: the images have another type or shape.
        """
        if images.dtype != np.uint8 or images.shape[1:] != self.img_shape or not len(images):
            raise DataError(
                f"images must be uint8 of shape (n, {', '.join(map(str, self.img_shape))}) with "
                f"n of at least 1, but are {images.dtype} of shape {images.shape}."
            )
        return self._run(images)[0]

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
        sources = ((os.fspath(path), path) for path in paths)
        for answers in self.predict_batches(sources, raw=raw):
            for answer in answers:
                if isinstance(answer, FailedImage):
                    raise DataError(answer.problem)
                found.append(answer)
        return found

    def predict_batches(
        self, sources: Iterable[tuple[str, decode.Source]], *, raw: bool = False
    ) -> Iterator[list[Answer]]:
        """Classify any number of images, some at a time, whether or not all can be read.

        Args:
            sources: what each image is called, and its path or what is in its file.
            raw: as in `predict_images`.

        Yields:
            The answers to some images, at most `BATCH_SIZE`, in order.
        """
        rest = iter(sources)
        while batch := list(islice(rest, self._batch_size)):
            yield self._answers(batch, raw=raw)

    def _answers(self, batch: Sequence[tuple[str, decode.Source]], *, raw: bool) -> list[Answer]:
        """Classify some images at once."""
        read = [self._try_to_read(name, source, raw=raw) for name, source in batch]
        images = [found[0] for found in read if not isinstance(found, FailedImage)]
        if not images:
            return [found for found in read if isinstance(found, FailedImage)]
        probabilities, novelty = self._run(np.stack(images))
        scores = [None] * len(images) if novelty is None else novelty.tolist()
        said = zip(probabilities, scores, strict=True)
        answers: list[Answer] = []
        for (name, _), found in zip(batch, read, strict=True):
            if isinstance(found, FailedImage):
                answers.append(found)
                continue
            image, steps = found
            row, score = next(said)
            answers.append(
                Prediction(
                    name=name,
                    probabilities=row,
                    class_names=self.class_names,
                    image=image,
                    novelty=score,
                    steps=steps,
                )
            )
        return answers

    def _try_to_read(
        self, name: str, source: decode.Source, *, raw: bool
    ) -> tuple[NDArray[np.uint8], tuple[str, ...]] | FailedImage:
        """Read an image as the model takes it, and say which steps were taken, or why not."""
        try:
            if self.takes_photos and not raw:
                return photo.read(source, name=name)
            return decode.read(source, self.img_shape, name=name), ()
        except DataError as error:
            return FailedImage(name=name, problem=str(error))

    @property
    def _batch_size(self) -> int:
        """How many images are answered at once."""
        return min(max(VALUES_AT_ONCE // math.prod(self.img_shape), 1), BATCH_SIZE)

    def _run(
        self, images: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Give class probabilities, and novelty scores as multiples of the threshold."""
        step = self._batch_size
        batches = (images[i : i + step] for i in range(0, len(images), step))
        runs = [self._session.run(self._outputs, {"images": batch}) for batch in batches]
        probabilities, *novelty = (np.concatenate(parts) for parts in zip(*runs, strict=True))
        if self._novelty_threshold is None:
            return probabilities, None
        return probabilities, np.asarray(novelty[0] / self._novelty_threshold, np.float32)


def _novelty_threshold(facts: dict[str, str]) -> float | None:
    """The score above which an image is unlike the training images; None if the file has none.

    Raises:
        TypeError: it is no number.
        ValueError: it is no number above 0.
    """
    if "novelty_threshold" not in facts:
        return None
    threshold = float(json.loads(facts["novelty_threshold"]))
    if not 0 < threshold < math.inf:
        raise ValueError(f"a threshold of {threshold}")
    return threshold


def _threshold(facts: dict[str, str]) -> float | None:
    """The confidence below which an answer should not count; None if the file does not tell.

    Raises:
        TypeError: it is no number.
        ValueError: it is no share.
    """
    known = json.loads(facts.get("threshold", "null"))
    if known is None:
        return None
    if not 0 <= float(known) <= 1:
        raise ValueError(f"a confidence of {known}")
    return float(known)


def _is_of_fashion_mnist(facts: dict[str, str]) -> bool:
    """Whether a file says that its model was trained on Fashion-MNIST."""
    try:
        return bool(json.loads(facts["dataset"])["source"] == FASHION_MNIST)
    except (KeyError, TypeError, ValueError):  # a fact that a file need not have
        return False


def _open_session(path: Path) -> Any:
    """Open an ONNX file with ONNX Runtime.

    Raises:
        ModelFileError: it is missing, or no ONNX model.
    """
    if not path.is_file():
        raise ModelFileError(f"there is no model file {path}. Give an .onnx file or a run.")
    if path.suffix == ".keras":
        raise ModelFileError(
            f"{path} is a Keras file, and predicting needs an ONNX file. "
            "Write one with: apparel export RUN --format onnx"
        )
    import onnxruntime  # noqa: PLC0415  # only once the path has been checked

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures arrive as exceptions
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base class
        reason = str(error).partition("\n")[0]
        raise ModelFileError(
            f"{path} is not a model that ONNX Runtime can open ({reason}). "
            "Write one with: apparel export RUN --format onnx"
        ) from error
