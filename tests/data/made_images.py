"""Image files of every kind for tests."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFile

from apparel.data.decode import BadImageError, decode, read

SMALL = (12, 10, 3)  # sides of different length, so that no swap goes unseen
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (*SMALL[:2], 3), dtype=np.uint8)
TURNED = {  # EXIF's orientation: how the stored rows and columns are to be shown
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


def encoded(image, form, **options):
    """The content of an image file."""
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def exif(orientation):
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def luma(colours):
    """ITU-R BT.601 in 16 bits of fixed point, as Pillow's documentation gives it, rounded."""
    red, green, blue = np.moveaxis(colours.astype(np.int64), -1, 0)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


def over_white(values, alpha):
    share = alpha.astype(float) / 255
    return np.rint(values * share + 255 * (1 - share)).astype(np.uint8)


def why(source, shape=SMALL, **options):
    """The message of a refused image, which is one line and the same for `decode`."""
    with pytest.raises(BadImageError) as caught:
        read(source, shape, **options)
    with pytest.raises(BadImageError) as again:
        decode(source, shape[:2], **options)
    message = str(caught.value)
    assert str(again.value) == message
    assert message.isprintable()
    assert message.endswith(".")
    return message


def files():
    """An intact file of each kind."""
    image = Image.fromarray(NOISE)
    palette, grey = image.quantize(16), image.convert("L")
    frames = {"save_all": True, "append_images": [grey.rotate(180)]}
    return {
        "png": encoded(image, "PNG", exif=exif(3)),
        "palette.png": encoded(palette, "PNG", transparency=bytes([0, 99, 255])),
        "frames.png": encoded(grey, "PNG", **frames),
        "jpg": encoded(image, "JPEG", exif=exif(6)),
        "progressive.jpg": encoded(image, "JPEG", progressive=True),
        "mpo.jpg": encoded(image, "MPO", save_all=True, append_images=[image]),
        "webp": encoded(image, "WEBP"),
        "lossless.webp": encoded(image, "WEBP", lossless=True),
        "frames.webp": encoded(grey, "WEBP", **frames),
        "gif": encoded(palette, "GIF"),
        "grey.gif": encoded(grey, "GIF"),
        "bmp": encoded(image, "BMP"),
        "palette.bmp": encoded(palette, "BMP"),
        "tiff": encoded(image, "TIFF"),
        "lzw.tiff": encoded(image, "TIFF", compression="tiff_lzw"),
        "deflate.tiff": encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "fax.tiff": encoded(image.convert("1"), "TIFF", compression="group4"),
    }


FILES = files()


def loaded_sizes(monkeypatch):
    """Record the sizes of images that are decoded from now on."""
    sizes = []
    load = ImageFile.ImageFile.load

    def spy(self):
        if self.tile:
            sizes.append(self.size)
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", spy)
    return sizes
