"""What an exported file says of itself."""

import json
import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from apparel.core.errors import ModelFileError
from apparel.data import fashion_photo

# The data set whose images were made of photos, in steps that are known.
FASHION_MNIST = "fashion-mnist"


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What an exported file says of itself.

    Attributes:
        class_names: one name a class, k of them.
        img_shape: height, width and channels of the images that it takes.
        takes_photos: whether photos are brought into the form of its training images, which is
            known for Fashion-MNIST.
        threshold: the confidence below which its answer should not count, chosen on validation
            images; 0 for none, None where nobody knows.
        novelty_threshold: the score above which an image is unlike the training images; None if
            the file gives no such score.
        dataset: the name of the data that it was trained on, "" where nobody knows.
        accuracy: on test images, with its interval: value, low, high and n; None where nobody
            knows.
        examples: images to try, as class name and PNG file in base64.
    """

    class_names: tuple[str, ...]
    img_shape: tuple[int, int, int]
    takes_photos: bool
    threshold: float | None
    novelty_threshold: float | None
    dataset: str
    accuracy: Mapping[str, float] | None
    examples: tuple[tuple[str, str], ...]


def read_facts(metadata: Mapping[str, str], *, name: str) -> ModelFacts:
    """Read what an exported file says of itself.

    Args:
        metadata: of the file, each value as JSON.
        name: what messages call the file.

    Raises:
        ModelFileError: it does not say what is needed, or says what cannot be.
    """
    try:
        height, width, channels = (int(size) for size in json.loads(metadata["img_shape"]))
        img_shape = height, width, channels
        class_names = tuple(str(label) for label in json.loads(metadata["class_names"]))
        threshold = _between(0, 1, metadata.get("threshold"))
        novelty_threshold = _between(0, math.inf, metadata.get("novelty_threshold"))
    except _ABSENT as error:
        raise ModelFileError(
            f"{name} is an ONNX model, but not one that apparel wrote: it does not name its "
            "classes and image size. Write one with: apparel export RUN --format onnx"
        ) from error
    return ModelFacts(
        class_names=class_names,
        img_shape=img_shape,
        takes_photos=_takes_photos(metadata) and img_shape == fashion_photo.IMG_SHAPE,
        threshold=threshold,
        novelty_threshold=novelty_threshold,
        dataset=_source(metadata),
        accuracy=_accuracy(metadata),
        examples=_examples(metadata, class_names),
    )


def _between(low: float, high: float, text: str | None) -> float | None:
    """A number, or None.

    Raises:
        TypeError: it is no number.
        ValueError: it is out of range.
    """
    value = None if text is None else json.loads(text)
    if value is None:
        return None
    number = float(value)
    if not low <= number <= high or math.isinf(number):
        raise ValueError(f"{number} is not from {low} to {high}")
    return number


# What follows is for people to see. A file need not say it, and one that says it in another form
# is a good model all the same.


def _takes_photos(metadata: Mapping[str, str]) -> bool:
    """Whether photos are to be brought into the form of Fashion-MNIST's images."""
    with suppress(*_ABSENT):
        return bool(json.loads(metadata["photo_steps"]) == FASHION_MNIST)
    return False


def _source(metadata: Mapping[str, str]) -> str:
    """The name of the data that a model was trained on."""
    with suppress(*_ABSENT):
        source = str(json.loads(metadata["dataset"])["source"] or "")
        return source if source.isprintable() else ""
    return ""


def _accuracy(metadata: Mapping[str, str]) -> dict[str, float] | None:
    """An accuracy with its interval."""
    with suppress(*_ABSENT):
        known = json.loads(metadata["accuracy"])
        shares = {key: float(known[key]) for key in ("value", "low", "high")}
        n_images = int(known["n"])
        if all(map(math.isfinite, (*shares.values(), n_images))):
            return {**shares, "n": n_images}
    return None


def _examples(
    metadata: Mapping[str, str], class_names: Collection[str]
) -> tuple[tuple[str, str], ...]:
    """Images to try, of classes that there are."""
    with suppress(*_ABSENT):
        known = json.loads(metadata["examples"])
        found = tuple((str(example["label"]), str(example["png"])) for example in known)
        return tuple((label, png) for label, png in found if label in class_names and png.isascii())
    return ()


_ABSENT = (KeyError, TypeError, ValueError, OverflowError, RecursionError)
