"""An exported ONNX file → probabilities, without TensorFlow or Keras in the process."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel import decode, photo
from apparel.errors import DataError, ModelFileError
from apparel.records import Prediction

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
CHANNELS = (1, 3)
BATCH_SIZE = 256
# The data set whose images were made of photos, in steps that are known.
FASHION_MNIST = "fashion-mnist"


class Predictor:
    """A classifier read from a file that `apparel export` wrote.

    Attributes:
        class_names: one name a class, k of them.
        img_shape: height, width and channels of the images that it takes.
        takes_photos: whether photos are brought into the form of its training images, which is
            known for Fashion-MNIST.
    """

    class_names: tuple[str, ...]
    img_shape: tuple[int, int, int]
    takes_photos: bool

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
            self._threshold = _novelty_threshold(facts)
            (taken,), given = self._session.get_inputs(), self._session.get_outputs()
            gives = {output.name: output.shape[1:] for output in given}
            described = (taken.name, taken.type, taken.shape[1:], gives)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"{path} is an ONNX model, but not one that apparel wrote: it does not name its "
                "classes and image size. Write one with: apparel export RUN --format onnx"
            ) from error
        wanted = {"probabilities": [len(self.class_names)]}
        if self._threshold:
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
            paths: files that `decode.read` can read, at least one.
            raw: take each image as it is, resized as a whole.

        Returns:
            One prediction a file, in order.

        Raises:
            DataError: a file is missing, broken, or no image.
        """
        if self.takes_photos and not raw:
            read = [photo.read(path) for path in paths]
        else:
            read = [(decode.read(path, self.img_shape), ()) for path in paths]
        images = np.stack([image for image, _ in read])
        probabilities, novelty = self._run(images)
        return [
            Prediction(
                name=os.fspath(path),
                probabilities=probabilities[k],
                class_names=self.class_names,
                image=images[k],
                novelty=None if novelty is None else float(novelty[k]),
                steps=read[k][1],
            )
            for k, path in enumerate(paths)
        ]

    def _run(
        self, images: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Give class probabilities, and novelty scores as multiples of the threshold."""
        batches = (images[i : i + BATCH_SIZE] for i in range(0, len(images), BATCH_SIZE))
        runs = [self._session.run(self._outputs, {"images": batch}) for batch in batches]
        probabilities, *novelty = (np.concatenate(parts) for parts in zip(*runs, strict=True))
        if not self._threshold:
            return probabilities, None
        return probabilities, np.asarray(novelty[0] / self._threshold, np.float32)


def find_images(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """List the image files that paths name; a folder stands for the images inside it.

    Args:
        paths: files or folders.

    Returns:
        Files in the order named, those of a folder sorted by name.

    Raises:
        DataError: a path does not exist, or a folder holds no image.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(
                p
                for p in path.iterdir()
                if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != "." and p.is_file()
            )
            if not inside:
                raise DataError(
                    f"the folder {path} holds no image. Expected were files that end in "
                    f"{', '.join(IMAGE_SUFFIXES)}."
                )
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"there is no file or folder {path}. Give the path of an image.")
    return found


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
