"""Images and maps → pictures inside a page."""

import base64
import io

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apparel.core.records import Images

# Pixels of the longer side; larger ones would only make the page heavy.
LARGEST_SIDE = 64
# Of a map over its image.
OPACITY = 0.6


def picture(image: Images) -> str:
    """Make a picture of an image.

    Args:
        image: shape (h, w, c) of 1, 3 or 4 channels, uint8, or float32 in [0, 1].

    Returns:
        A `data:` address; a PNG of at most 64 pixels a side for grey images, else a JPEG.
    """
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8:
        pixels = (pixels * 255).round().astype(np.uint8)
    grey = pixels.shape[-1] == 1
    drawn = Image.fromarray(pixels[..., 0] if grey else pixels[..., :3])
    drawn.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return _address(drawn, "png" if grey else "jpeg")


def heat(values: NDArray[np.float32]) -> str:
    """Make a picture to lay over an image.

    Args:
        values: shape (h, w), 0 to 1; where 0, the image shines through.

    Returns:
        A `data:` address of a PNG.
    """
    colours = mpl.colormaps["inferno"](values)
    colours[..., 3] = OPACITY
    drawn = Image.fromarray((colours * 255).round().astype(np.uint8))
    drawn.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return _address(drawn, "png")


def _address(drawn: Image.Image, kind: str) -> str:
    file = io.BytesIO()
    drawn.save(file, kind, optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
