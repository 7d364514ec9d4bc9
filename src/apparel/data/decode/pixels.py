"""An opened image → an image of the wanted size, turned, opaque, and grey or RGB."""

import os
import sys
import threading

import numpy as np
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from apparel.data.decode.cost import check_cost, may_be_costly, strip_rows

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
STDERR = 2
_redirecting = threading.Lock()


def orientation_of(image: ImageFile) -> object:
    """The photo's own rotation: 1 to 8 as in EXIF, or what else stands there."""
    try:
        # The method of PNG images would decode the pixels, to see whether more follows them.
        return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001  # broken metadata, of whatever kind, leave the pixels whole
        return 1


def sides_of(image: ImageFile, orientation: object) -> tuple[int, int]:
    """Height and width after the photo's own rotation."""
    if orientation not in _SIDEWAYS:
        return image.height, image.width
    # Pillow turns TIFF itself, and knows of it from the beginning unless XMP alone tells.
    if (
        isinstance(image, TiffImageFile)
        and image.tag_v2.get(ExifTags.Base.Orientation) in _SIDEWAYS
    ):
        return image.height, image.width
    return image.width, image.height


def is_grey(image: ImageFile) -> bool:
    """Whether an image is stored as grey, by its header."""
    if image.mode == "P" and image.palette is not None:
        probe = Image.new("P", (1, 1))  # the image itself would decode its pixels to tell
        probe.putpalette(image.palette)
        entries = np.array(probe.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return bool((entries == entries[:, :1]).all())
    return image.mode in _GREY_MODES or image.mode.startswith(_SIXTEEN_BITS)


def fitted(image: ImageFile, size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]]:
    """Decode an image, turn it, and bring it to a height and width.

    Returns:
        The image, as "L" or "RGB", and its height and width before.
    """
    orientation = orientation_of(image)
    sides = sides_of(image, orientation)
    inner = size if sides == size else _inner(sides, size)
    if sides != size:
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
    """Decode the pixels. Of TIFF, libtiff prints what is wrong, and nothing else stops it."""
    if image.format != TiffImageFile.format or sys.__stderr__ is None:
        image.load()
        return
    # Two threads at once would each keep what the other has put there, and restore it.
    with _redirecting:
        kept = os.dup(STDERR)
        try:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # as above
                os.dup2(nowhere.fileno(), STDERR)
            image.load()
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)


def _inner(sides: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """The largest height and width within `size` that keep the ratio of `sides`."""
    scale = min(size[0] / sides[0], size[1] / sides[1])
    height, width = (max(round(side * scale), 1) for side in sides)
    return height, width


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
    """The mode that an image has once it is opaque."""
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
