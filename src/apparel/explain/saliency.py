"""Saliency maps of a class: Grad-CAM and occlusion.

Grad-CAM is the positive part of the weighted sum of a convolution's feature maps, each weighted by
the mean gradient of the class's logit with respect to it (R. R. Selvaraju et al., "Grad-CAM: Visual
Explanations from Deep Networks via Gradient-based Localization", 2017, arXiv 1610.02391).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import logsumexp

from apparel.core import backend
from apparel.core.records import Saliency
from apparel.explain.occlusion import occlusion_maps, positive, scaled
from apparel.models import gradients

# Deeper feature maps say more about the class, but maps of 3 x 3 say nothing about the place. This
# is the smallest side used, as a share of the image's.
LEAST_SIDE = 1 / 4
BATCH_SIZE = 500


def explain_images(
    model: Any, logits_model: Any, images: NDArray[np.float32], classes: NDArray[np.int64]
) -> Saliency:
    """Compute both kinds of saliency maps.

    Args:
        model: a functional or sequential `keras.Model` with a convolution.
        logits_model: the same model without its softmax.
        images: shape (n, h, w, c), in [0, 1].
        classes: shape (n,), the class to explain in each image.

    Returns:
        A map of each kind for each image; no maps without images.
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
    """Compute where the features are that speak for a class.

    Args:
        model: a functional or sequential `keras.Model` with a convolution.
        logits_model: the same model without its softmax.
        images: shape (n, h, w, c), in [0, 1].
        classes: shape (n,), the class to explain in each image.

    Returns:
        Shape (n, h, w), each map 0 to 1. Where everything speaks against the class, the map shows
        the pixels that do so least.
    """
    keras = backend.load_keras()
    convolution = _convolution(model)
    to_features = keras.Model(model.inputs[0], convolution.output)
    to_logits = keras.Model(convolution.output, logits_model.output)
    wanted = keras.ops.one_hot(classes, logits_model.output_shape[-1])
    features = np.asarray(to_features.predict(images, batch_size=BATCH_SIZE, verbose=0))

    def score(maps: Any) -> Any:
        return keras.ops.sum(to_logits(maps, training=False) * wanted)

    weights = gradients.gradient(score, features).mean(axis=(1, 2), keepdims=True)
    coarse = (weights * features).sum(axis=-1)
    return np.stack([_enlarged(positive(evidence), images.shape[1:3]) for evidence in coarse])


def _convolution(model: Any) -> Any:
    """The last convolution whose feature maps are large enough to show places."""
    keras = backend.load_keras()
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    least = LEAST_SIDE * min(model.input_shape[1:3])
    large = [layer for layer in convolutions if min(layer.output.shape[1:3]) >= least]
    return (large or convolutions)[-1]


def occlusion(
    logits_model: Any, images: NDArray[np.float32], classes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Compute `occlusion_maps` for a Keras model.

    Args:
        logits_model: a `keras.Model` that gives logits.
        images: shape (n, h, w, c), in [0, 1].
        classes: shape (n,), the class to explain in each image.
    """
    return occlusion_maps(lambda covered, of: _log_odds(logits_model, covered, of), images, classes)


def _log_odds(
    logits_model: Any, images: NDArray[np.float32], classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The logarithm of p / (1 - p), p the probability of each image's class; shape (n,)."""
    logits = logits_model.predict(images, batch_size=BATCH_SIZE, verbose=0).astype(np.float64)
    of_class = np.arange(logits.shape[1]) == classes[:, None]
    return np.asarray(logits[of_class] - logsumexp(np.where(of_class, -np.inf, logits), axis=1))


def _enlarged(evidence: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A map resized to an image and scaled to 0 to 1."""
    zoom = np.array(shape) / evidence.shape
    return scaled(ndimage.zoom(evidence, zoom, order=1, mode="nearest", grid_mode=True))
