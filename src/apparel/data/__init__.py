"""Labelled images from a named source, a folder, a table or arrays.

`load` gets Fashion-MNIST from wherever it can be had, and reads images of your own. `from_arrays`
takes arrays as they are, `limit_images` keeps a stratified part for a fast try, and `keep_images`
the images that you choose.
"""

from apparel.data.arrays import from_arrays
from apparel.data.fashion_mnist import FASHION_MNIST_LABELS, highest_credible_accuracy
from apparel.data.limit import limit_images
from apparel.data.loading import Source, load
from apparel.data.subset import keep_images

__all__ = [
    "FASHION_MNIST_LABELS",
    "Source",
    "from_arrays",
    "highest_credible_accuracy",
    "keep_images",
    "limit_images",
    "load",
]
