"""One image file → pixels, by one rule for training and for predicting.

The rule: the content decides the format, not the name; of several frames, the first is read. A
photo's own rotation is applied. Transparency shows white. 16-bit grey is scaled to 8 bits and
rounded, 16-bit colour keeps its upper 8 bits. An image of another size is shrunk or enlarged as a
whole (bicubic, antialiased) and centred, and the rest takes the colour of its upper left corner.
Last, colours become grey by the luma of ITU-R BT.601, or grey becomes three equal channels. So
reading a file as grey gives the luma of reading it in colour, exactly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL.ImageFile import ImageFile

from apparel.data.decode.opening import BadImageError, Source, opened
from apparel.data.decode.pixels import fitted, is_grey, orientation_of, sides_of

__all__ = [
    "RULE_VERSION",
    "BadImageError",
    "DecodedImage",
    "ImageFacts",
    "Source",
    "decode",
    "decode_within",
    "inspect",
    "read",
]

# To be raised when a change here changes pixels, so that no cache keeps what the old rule made.
RULE_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What the header of an image file tells.

    Attributes:
        height: in pixels, as the image is seen: after the photo's own rotation.
        width: likewise.
        is_grey: whether it is stored as grey, or by a palette of greys alone.
    """

    height: int
    width: int
    is_grey: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedImage:
    """An image that was decoded.

    Attributes:
        pixels: uint8, shape (h, w, c), 0 to 255; one channel where it is stored as grey, else 3.
        height: of the image as it was found, after the photo's own rotation.
        width: likewise.
    """

    pixels: NDArray[np.uint8]
    height: int
    width: int


def inspect(source: Source, *, name: str | None = None) -> ImageFacts:
    """Tell what the header of an image says, without decoding pixels.

    Args:
        source: a path, or what is in the file.
        name: what messages call it; by default its path.

    Raises:
        BadImageError: it is no image, or its header is broken.
    """
    with opened(source, name) as image:
        height, width = sides_of(image, orientation_of(image))
        return ImageFacts(height=height, width=width, is_grey=is_grey(image))


def read(
    source: Source, img_shape: tuple[int, int, int], *, name: str | None = None
) -> NDArray[np.uint8]:
    """Read one image into the shape that a model takes, by the rule of this module.

    Args:
        source: a path, or what is in the file. PNG, JPEG, WebP, GIF, BMP or TIFF.
        img_shape: height, width and channels (1 or 3).
        name: what messages call it; by default its path.

    Returns:
        Shape `img_shape`, 0 to 255.

    Raises:
        BadImageError: the file is missing, broken, too large to open safely, or no image.
    """
    height, width, channels = img_shape
    with opened(source, name) as image:
        whole, _ = fitted(image, (height, width))
        converted = whole.convert("L" if channels == 1 else "RGB")
        return np.asarray(converted, np.uint8).reshape(img_shape)


def decode(source: Source, size: tuple[int, int], *, name: str | None = None) -> DecodedImage:
    """Read one image like `read`, but as grey or in colour as it is stored.

    Args:
        source: a path, or what is in the file.
        size: height and width to bring it to.
        name: what messages call it; by default its path.

    Raises:
        BadImageError: as `read` does.
    """
    with opened(source, name) as image:
        return _decoded(image, size)


def decode_within(source: Source, longest: int, *, name: str | None = None) -> DecodedImage:
    """Read one image like `decode`, as large as it is or, if that is larger, with a longest edge.

    Args:
        source: a path, or what is in the file.
        longest: pixels of the longer edge, at most.
        name: what messages call it; by default its path.

    Raises:
        BadImageError: as `read` does.
    """
    with opened(source, name) as image:
        sides = sides_of(image, orientation_of(image))
        scale = min(longest / max(sides), 1)
        height, width = (max(round(side * scale), 1) for side in sides)
        return _decoded(image, (height, width))


def _decoded(image: ImageFile, size: tuple[int, int]) -> DecodedImage:
    """Decode an opened image."""
    whole, (height, width) = fitted(image, size)
    pixels = np.asarray(whole, np.uint8).reshape(*size, -1)
    return DecodedImage(pixels=pixels, height=height, width=width)
