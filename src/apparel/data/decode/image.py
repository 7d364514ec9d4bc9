"""One image file → an image of a given size, turned, opaque, and grey or RGB."""

import os
import sys
import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from apparel.data.decode.cost import check_cost, may_be_costly, strip_rows
from apparel.data.decode.opening import Source, opened

# To be raised when a change here changes pixels, so that caches drop those of the old rule.
RULE_VERSION = 1
# A JPEG is decoded at a reduced scale that leaves at least so many pixels for one.
SPARE_SCALE = 2

_GREY_MODES = {"1", "L", "LA", "La"}
_SIXTEEN_BITS = "I;16"  # and with the order of its bytes behind it
_TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS: set[object] = {5, 6, 7, 8}
_STDERR = 2
_redirecting = threading.Lock()


class DecodedImage(NamedTuple):
    """An image that was decoded.

    Attributes:
        pixels: uint8, shape (h, w, c), 0 to 255; one channel where it is stored as grey, else 3.
        height: original height, after the photo's own rotation.
        width: original width, likewise.
    """

    pixels: NDArray[np.uint8]
    height: int
    width: int


def image_size(source: Source, *, name: str | None = None) -> tuple[int, int]:
    """Read the size of an image from its header, without decoding pixels.

    Args:
        source: a path, or the content of the file.
        name: of the image in messages; by default its path.

    Returns:
        Height and width, after the photo's own rotation.

    Raises:
        BadImageError: it is no image, or its header is broken.
    """
    with opened(source, name) as image:
        return _sides(image, _orientation(image))


def read(
    source: Source, img_shape: tuple[int, int, int], *, name: str | None = None
) -> NDArray[np.uint8]:
    """Read one image into the shape of a model's input, by the rule of this package.

    Args:
        source: a path, or the content of the file. PNG, JPEG, WebP, GIF, BMP or TIFF.
        img_shape: height, width and channels (1 or 3).
        name: of the image in messages; by default its path.

    Returns:
        Shape `img_shape`, 0 to 255.

    Raises:
        BadImageError: the file is missing, broken, too large to open safely, or no image.
    """
    height, width, channels = img_shape
    with opened(source, name) as image:
        whole, _ = _fitted(image, (height, width))
        converted = whole.convert("L" if channels == 1 else "RGB")
        return np.asarray(converted, np.uint8).reshape(img_shape)


def decode(source: Source, size: tuple[int, int], *, name: str | None = None) -> DecodedImage:
    """Read one image like `read`, but as grey or in colour as it is stored.

    Args:
        source: a path, or the content of the file.
        size: height and width to bring it to.
        name: of the image in messages; by default its path.

    Raises:
        BadImageError: as `read` does.
    """
    with opened(source, name) as image:
        whole, (height, width) = _fitted(image, size)
        return DecodedImage(np.asarray(whole, np.uint8).reshape(*size, -1), height, width)


def decode_within(source: Source, longest: int, *, name: str | None = None) -> NDArray[np.uint8]:
    """Read one image like `decode`, in its own size or, if that is larger, with a longest edge.

    Args:
        source: a path, or the content of the file.
        longest: pixels of the longer edge, at most.
        name: of the image in messages; by default its path.

    Returns:
        Shape (h, w, 1) where it is stored as grey, else (h, w, 3).

    Raises:
        BadImageError: as `read` does.
    """
    with opened(source, name) as image:
        sides = _sides(image, _orientation(image))
        scale = min(longest / max(sides), 1)
        height, width = (max(round(side * scale), 1) for side in sides)
        whole, _ = _fitted(image, (height, width))
        return np.asarray(whole, np.uint8).reshape(height, width, -1)


def _orientation(image: ImageFile) -> object:
    """Give the photo's own rotation: 1 to 8 as in EXIF, or an unknown value."""
    try:
        # The method of PNG images would decode the pixels, to see whether more follows them.
        return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001  # metadata may be broken in any way; the pixels are whole
        return 1


def _sides(image: ImageFile, orientation: object) -> tuple[int, int]:
    """Give height and width after the photo's own rotation."""
    # Pillow turns TIFF itself, and its size says so from the beginning unless XMP alone tells.
    is_turned = (
        isinstance(image, TiffImageFile)
        and image.tag_v2.get(ExifTags.Base.Orientation) in _SIDEWAYS
    )
    if orientation not in _SIDEWAYS or is_turned:
        return image.height, image.width
    return image.width, image.height


def _fitted(image: ImageFile, size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]]:
    """Decode an image, turn it, and bring it to a height and width.

    Returns:
        The image, as "L" or "RGB", and its height and width before.
    """
    orientation = _orientation(image)
    sides = _sides(image, orientation)
    inner = size
    if sides != size:
        scale = min(size[0] / sides[0], size[1] / sides[1])
        inner = max(round(sides[0] * scale), 1), max(round(sides[1] * scale), 1)
        height, width = (SPARE_SCALE * side for side in inner)
        image.draft(None, (height, width) if orientation in _SIDEWAYS else (width, height))
    turned = orientation in _TURNS and not isinstance(image, TiffImageFile)
    if may_be_costly(image, sides):
        check_cost(image, sides, flat_mode=_flat_mode(image), turned=turned)
    _load(image)
    flat = _flattened(image)
    if turned:
        flat = flat.transpose(_TURNS[orientation])
    return _padded(flat, inner, size), sides


def _load(image: ImageFile) -> None:
    """Decode the pixels. libtiff prints its errors, and only redirection silences it."""
    if image.format != TiffImageFile.format or sys.__stderr__ is None:
        image.load()
        return
    # Two threads at once would each restore the other's redirection.
    with _redirecting:
        kept = os.dup(_STDERR)
        try:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # faster than a Path
                os.dup2(nowhere.fileno(), _STDERR)
            image.load()
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)


def _padded(image: Image.Image, inner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """Resize an image to `inner` and centre it in `size`, on the colour of its corner."""
    height, width = size
    if image.size == (width, height):
        return image
    resized = image.resize(inner[::-1], Image.Resampling.BICUBIC)
    if inner == size:
        return resized
    whole = Image.new(image.mode, (width, height), image.getpixel((0, 0)))
    whole.paste(resized, (round((width - inner[1]) / 2), round((height - inner[0]) / 2)))
    return whole


def _flat_mode(image: Image.Image) -> str:
    """Give the mode of an image once it is opaque."""
    is_grey = image.mode in _GREY_MODES or image.mode.startswith(_SIXTEEN_BITS)
    return "L" if is_grey else "RGB"


def _flattened(image: Image.Image) -> Image.Image:
    """Lay an image over white, and convert it to "L" or "RGB" as it is stored."""
    mode, rows = _flat_mode(image), strip_rows(image)
    if image.mode == mode and not image.has_transparency_data:
        return image
    if image.height <= rows:
        return _opaque(image, mode)
    whole = Image.new(mode, image.size)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        whole.paste(_opaque(strip, mode), (0, top))
    return whole


def _opaque(image: Image.Image, mode: str) -> Image.Image:
    """Lay an image, or a strip of it, over white."""
    if image.mode.startswith(_SIXTEEN_BITS):
        return _eight_bits(image)
    if image.has_transparency_data:
        if image.mode == "La":
            image = image.convert("LA")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey: value * 255 / 65535, rounded. Pillow would clip it at 255."""
    values = np.asarray(image)
    scaled = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if "transparency" in image.info:
        scaled[values == image.info["transparency"]] = 255
    return Image.fromarray(scaled)
