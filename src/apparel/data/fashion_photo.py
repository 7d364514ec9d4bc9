"""A photo of one item of clothing → an image like those of Fashion-MNIST.

The steps are those by which Fashion-MNIST was made from shop photos on white (H. Xiao, K. Rasul and
R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
2017, arXiv 1708.07747, section 2): trim the background, told by the colour of the corners; shrink
the longest edge to 28 pixels; sharpen; centre; negate; make grey. A photo taken at home needs more.
Its background is rarely white and never even, so it is modelled as a surface and cleared away. And
the contrast is stretched, as it must have been there too: the brightest pixel of each image of
Fashion-MNIST is 254 or 255.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from apparel.data import decode

SIDE = 28
IMG_SHAPE = (SIDE, SIDE, 1)
WHITE = 255
# The longest edge of a photo as it is read: a JPEG's details beyond are never decoded.
READ_AT = 640
# The longest edge of the copy that is worked on: noise and texture are averaged away, and a photo
# of any size takes milliseconds.
WORKED_ON = 160
# How far a background pixel may be from the background's colour: the paper's 5 % of white.
CLOSE = 0.05 * WHITE
# A textured background varies more: so many times as far as nine in ten pixels of the corners.
SPREAD = 1.5
# A background that varies more than this hides the item.
TOO_UNEVEN = 0.4 * WHITE
# The sides of the corners and the width of the frame, as shares of the photo's edges.
CORNER, FRAME = 0.07, 0.1
# How many terms of x and y the background's surface has, fit by fit: first a plain colour.
TERMS_FITTED = (1, 4, 6, 6)
# Of the pixels of a photo. Less is no item; more leaves no background.
SMALLEST_ITEM, LARGEST_ITEM = 0.02, 0.98
# The share of a row or column that belongs to the item where it is not trimmed. No more than of the
# whole photo, so that something is left.
FILLED = SMALLEST_ITEM
MIDDLE_GREY = WHITE / 2
_Grey = TypeVar("_Grey", np.uint8, np.float64)
# Of red, green and blue in grey (ITU-R BT.601), as in Pillow.
LUMA = np.array([0.299, 0.587, 0.114])


def read(
    source: decode.Source, *, name: str | None = None
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Read a photo and take it through `like_fashion_mnist`.

    Args:
        source: a path, or the content of the file.
        name: of the photo in messages; by default its path.

    Returns:
        As `like_fashion_mnist` does.

    Raises:
        DataError: the file is missing, broken, too large to open safely, or no image.
    """
    pixels = decode.decode_within(source, READ_AT, name=name)
    if pixels.shape == IMG_SHAPE:  # one of many, perhaps; nothing is rounded
        negated, steps = _negate_if_light(pixels)
        return negated, tuple(steps)
    is_grey = pixels.shape[2] == 1
    return like_fashion_mnist(Image.fromarray(pixels[:, :, 0] if is_grey else pixels))


def like_fashion_mnist(image: Image.Image) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Take a photo through the steps by which Fashion-MNIST was made, as far as it needs them.

    An image of 28 x 28 pixels counts as cut out already: it is made grey, and negated if its
    corners are light. So an image of Fashion-MNIST stays as it is.

    Args:
        image: upright, of mode "L" or "RGB", without transparency.

    Returns:
        The image, shape (28, 28, 1), an item on black; and the steps taken, in order, as short
        phrases for people.
    """
    if image.size == (SIDE, SIDE):
        values, steps = _negate_if_light(np.asarray(image.convert("L"), np.float64))
    else:
        values, steps = _cut_out(image.convert("RGB"))
    if _is_coloured(image):
        steps.append("made grey")
    return np.rint(values).astype(np.uint8)[:, :, None], tuple(steps)


def _cut_out(photo: Image.Image) -> tuple[NDArray[np.float64], list[str]]:
    """Find the item of a photo and bring it into shape; with the steps that this took."""
    copy = photo.copy()
    copy.thumbnail((WORKED_ON, WORKED_ON), Image.Resampling.BOX)
    colours = np.asarray(copy, np.float64)
    background = _background(colours)
    item = _item(colours, background)
    if item is None:
        values, steps = _negate_if_light(colours @ LUMA)
        steps.insert(0, "found no plain background to trim")
    else:
        values, steps = _on_black(colours, background)
        values = _trim(values * item, item)
        steps = ["trimmed the background", "cleared the background", *steps]
    longest = round(max(values.shape) / max(copy.size) * max(photo.size))
    values = _resize(values)
    if longest > SIDE:
        values = _sharpen(values)
        steps += [f"shrank to {SIDE} pixels", "sharpened"]
    elif longest < SIDE:
        steps.append(f"enlarged to {SIDE} pixels")
    values = np.clip(values, 0, None)
    values *= WHITE / max(values.max(), 1)
    return _centre(values), [*steps, "stretched the contrast", "centred"]


def _background(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Model the background of a photo as a smooth surface, shape (h, w, 3).

    The corners give its colour. What is close to it along the frame of the photo gives the shading.
    """
    terms = _terms(*colours.shape[:2])
    corners = _corners(terms)
    frame = np.abs(terms[..., 1:3]).max(axis=-1) >= 1 - 2 * FRAME
    chosen = corners
    for count in TERMS_FITTED:
        some = terms[..., :count]
        surface = some @ np.linalg.lstsq(some[chosen], colours[chosen], rcond=None)[0]
        far = np.abs(colours - surface).max(axis=-1)
        chosen = frame & (far <= max(2 * CLOSE, _tolerance(far[corners])))
    return np.asarray(surface)


def _terms(height: int, width: int) -> NDArray[np.float64]:
    """Give 1, x, y, xy, x² and y² of each pixel, x and y from -1 to 1; shape (h, w, 6)."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    return np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)


def _corners(terms: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the pixels of the corners."""
    return np.asarray(np.abs(terms[..., 1:3]).min(axis=-1) >= 1 - 2 * CORNER)


def _tolerance(far: NDArray[np.float64]) -> float:
    """Give the tolerance for a background whose own pixels are so far from it."""
    return float(max(CLOSE, SPREAD * np.quantile(far, 0.9)))


def _item(
    colours: NDArray[np.float64], background: NDArray[np.float64]
) -> NDArray[np.bool_] | None:
    """Mark the pixels of the item; None where the background is not plain."""
    far = np.abs(colours - background).max(axis=-1)
    tolerance = _tolerance(far[_corners(_terms(*far.shape))])
    mask = Image.fromarray((far > tolerance).astype(np.uint8))
    # A morphological opening drops specks of less than 3 pixels.
    item = np.asarray(mask.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.MaxFilter(3))) > 0
    is_plain = tolerance <= TOO_UNEVEN and SMALLEST_ITEM < item.mean() < LARGEST_ITEM
    return item if is_plain else None


def _on_black(
    colours: NDArray[np.float64], background: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[str]]:
    """Make grey relative to the background, as if that were white or black, and negate if white."""
    background = np.clip(background, 1, WHITE - 1)
    if (background @ LUMA).mean() > MIDDLE_GREY:
        return WHITE * (np.clip(1 - colours / background, 0, 1) @ LUMA), ["negated"]
    lighter = (colours - background) / (WHITE - background)
    return WHITE * (np.clip(lighter, 0, 1) @ LUMA), []


def _negate_if_light(grey: NDArray[_Grey]) -> tuple[NDArray[_Grey], list[str]]:
    """Negate an image whose corners are light."""
    corners = sorted(float(grey[y, x].item()) for y in (0, -1) for x in (0, -1))
    median = (corners[1] + corners[2]) / 2  # NumPy's takes longer than all the rest
    return (WHITE - grey, ["negated"]) if median > MIDDLE_GREY else (grey, [])


def _trim(values: NDArray[np.float64], item: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Cut away rows and columns at the edges that have next to nothing of the item."""
    rows, columns = (np.flatnonzero(item.mean(axis=axis) > FILLED) for axis in (1, 0))
    return values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _resize(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring the longest edge to `SIDE`.

    The paper skips pixels, which suits clean studio photos. Averaging keeps noise out.
    """
    scale = SIDE / max(values.shape)
    height, width = (max(round(edge * scale), 1) for edge in values.shape)
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    resized = Image.fromarray(values.astype(np.float32)).resize((width, height), how)
    return np.asarray(resized, np.float64)


def _sharpen(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sharpen by a Gaussian of radius and standard deviation 1, as ImageMagick does."""
    near = np.arange(-1, 2)
    kernel = -np.exp(-(near[:, None] ** 2 + near**2) / 2)
    kernel[1, 1] = -2 * kernel.sum()
    kernel /= kernel.sum()
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, 1, mode="edge"), (3, 3))
    return np.asarray(np.einsum("hwij,ij->hw", windows, kernel))


def _centre(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put an image in the middle of a black square."""
    height, width = values.shape
    square = np.zeros((SIDE, SIDE))
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    square[top : top + height, left : left + width] = values
    return square


def _is_coloured(image: Image.Image) -> bool:
    """Tell whether an image has other colours than greys."""
    if image.mode == "L":
        return False
    pixels = np.asarray(image)
    return bool((pixels != pixels[..., :1]).any())
