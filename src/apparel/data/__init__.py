"""Labelled images from a named source or from arrays.

`load` gets Fashion-MNIST from wherever it can be had, `from_arrays` takes images of your own,
`limit_images` keeps a stratified part for a fast try.
"""

from apparel.data.arrays import from_arrays
from apparel.data.fashion_mnist import FASHION_MNIST_LABELS, highest_credible_accuracy
from apparel.data.limit import limit_images
from apparel.data.loading import load

__all__ = [
    "FASHION_MNIST_LABELS",
    "from_arrays",
    "highest_credible_accuracy",
    "limit_images",
    "load",
]
