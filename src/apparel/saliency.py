"""Which pixels speak for a class: Grad-CAM and occlusion.

Grad-CAM: the feature maps of a convolution, each weighted by the mean gradient of the class's logit
with respect to it, summed, without what is negative (R. R. Selvaraju et al., "Grad-CAM: Visual
Explanations from Deep Networks via Gradient-based Localization", 2017, arXiv 1610.02391).
Occlusion: by how much the log-odds of the class fall where a square is covered (M. D. Zeiler and
R. Fergus, "Visualizing and Understanding Convolutional Networks", 2013, arXiv 1311.2901).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import logsumexp

from apparel import backend, gradients
from apparel.records import Saliency

# The deepest maps say most of a class, but maps of 3 x 3 say nothing of where.
LEAST_SIDE = 1 / 4
# Of the square that covers a part, and how far it moves, as shares of the image's side.
SQUARE, STRIDE = 1 / 4, 1 / 14
BATCH_SIZE = 500


def explain_images(
    model: Any, logits_model: Any, images: NDArray[np.float32], classes: NDArray[np.int64]
) -> Saliency:
    """Say which pixels speak for a class.

    Args:
        model: a functional or sequential `keras.Model` with a convolution.
        logits_model: the same model without its softmax.
        images: shape (n, h, w, c), in [0, 1].
        classes: shape (n,), the class to ask for in each image.

    Returns:
        A map of each kind for each image; no map without images.
    """
    if not len(images):
        nothing = np.zeros(images.shape[:3], np.float32)
        return Saliency(grad_cam=nothing, occlusion=nothing)
    return Saliency(
        grad_cam=grad_cam(model, logits_model, images, classes),
        occlusion=occlusion(logits_model, images, classes),
    )


def grad_cam(
    model: Any, logits_model: Any, images: NDArray[np.float32], classes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Say where the features are that speak for a class.

    Args:
        model: a functional or sequential `keras.Model` with a convolution.
        logits_model: the same model without its softmax.
        images: shape (n, h, w, c), in [0, 1].
        classes: shape (n,), the class to ask for in each image.

    Returns:
        Shape (n, h, w), each map 0 to 1. Where everything speaks against the class, the map shows
        what does so least.
    """
    keras = backend.load_keras()
    to_features, to_logits = _parted(model, logits_model, _convolution(model))
    wanted = keras.ops.one_hot(classes, logits_model.output_shape[-1])
    features = np.asarray(to_features.predict(images, batch_size=BATCH_SIZE, verbose=0))

    def score(maps: Any) -> Any:
        return keras.ops.sum(to_logits(maps, training=False) * wanted)

    weights = gradients.gradient(score, features).mean(axis=(1, 2), keepdims=True)
    coarse = (weights * features).sum(axis=-1)
    return np.stack([_enlarged(_positive(evidence), images.shape[1:3]) for evidence in coarse])


def _convolution(model: Any) -> Any:
    """The last convolution whose maps still say where."""
    keras = backend.load_keras()
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    least = LEAST_SIDE * min(model.input_shape[1:3])
    large = [layer for layer in convolutions if min(layer.output.shape[1:3]) >= least]
    return (large or convolutions)[-1]


def _parted(model: Any, logits_model: Any, convolution: Any) -> tuple[Any, Any]:
    """The model up to a convolution, and from there to the logits."""
    keras = backend.load_keras()
    if not isinstance(model, keras.Sequential):
        to_features = keras.Model(model.inputs[0], convolution.output)
        return to_features, keras.Model(convolution.output, logits_model.output)
    # One that was read from a file does not know its layers' outputs as its own.
    end = model.layers.index(convolution) + 1
    to_features = keras.Sequential([keras.Input(model.input_shape[1:]), *model.layers[:end]])
    inputs = keras.Input(to_features.output_shape[1:])
    return to_features, keras.Sequential([inputs, *logits_model.layers[end:]])


def occlusion(
    logits_model: Any, images: NDArray[np.float32], classes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Say which pixels a model needs to see for a class.

    Args:
        logits_model: a `keras.Model` that gives logits.
        images: shape (n, h, w, c), in [0, 1]; a covered part has the colour of the upper left
            pixel.
        classes: shape (n,), the class to ask for in each image.

    Returns:
        Shape (n, h, w), each map 0 to 1. Where covering anything makes the model surer, the map
        shows what does so least.
    """
    n, height, width, _ = images.shape
    corner = images[:, :1, :1]
    squares = _squares(height, width)
    covered = np.concatenate([np.where(square[..., None], corner, images) for square in squares])
    before = _log_odds(logits_model, images, classes)
    after = _log_odds(logits_model, covered, np.tile(classes, len(squares)))
    falls = before - after.reshape(len(squares), n)
    # Each pixel: the mean over the squares that cover it.
    maps = np.tensordot(falls.T, squares.astype(np.float64), 1) / squares.sum(axis=0)
    return np.stack([_scaled(_positive(evidence)) for evidence in maps])


def _squares(height: int, width: int) -> NDArray[np.bool_]:
    """Every position of the covering square, shape (m, h, w); each pixel is covered by some."""
    side, stride = (max(round(share * min(height, width)), 1) for share in (SQUARE, STRIDE))
    tops, lefts = (
        sorted({*range(0, length - side, stride), length - side}) for length in (height, width)
    )
    squares = np.zeros((len(tops) * len(lefts), height, width), np.bool_)
    for square, (top, left) in zip(
        squares, ((top, left) for top in tops for left in lefts), strict=True
    ):
        square[top : top + side, left : left + side] = True
    return squares


def _log_odds(
    logits_model: Any, images: NDArray[np.float32], classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The logarithm of p / (1 - p), p the probability of each image's class; shape (n,)."""
    logits = logits_model.predict(images, batch_size=BATCH_SIZE, verbose=0).astype(np.float64)
    of_class = np.arange(logits.shape[1]) == classes[:, None]
    return np.asarray(logits[of_class] - logsumexp(np.where(of_class, -np.inf, logits), axis=1))


def _positive(evidence: NDArray[Any]) -> NDArray[np.float64]:
    """What is positive in a map or, in a map without anything positive, what exceeds its least."""
    if evidence.max() <= 0:
        evidence = evidence - evidence.min()
    return np.asarray(np.maximum(evidence, 0), np.float64)


def _enlarged(evidence: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A map with its pixels spread over an image, 0 to 1."""
    zoom = np.array(shape) / evidence.shape
    return _scaled(ndimage.zoom(evidence, zoom, order=1, mode="nearest", grid_mode=True))


def _scaled(evidence: NDArray[np.float64]) -> NDArray[np.float32]:
    """A map of at least 0 divided by its maximum; 0 where all is 0."""
    return (evidence / (evidence.max() or 1)).astype(np.float32)
