"""The cost of decoding an image, estimated from its header before any pixel is decoded.

A file of a few hundred bytes can hold an image of any size. Pillow's own limit is on the pixels,
but a pixel takes 1 to 24 bytes, by the format and the conversions. The figures were measured with
Pillow 13.
"""

from PIL.Image import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    SAMPLESPERPIXEL,
    TILELENGTH,
    TILEWIDTH,
    TiffImageFile,
)

# Bytes of one image. With everything else that decoding takes, less than 150 MB.
MOST_BYTES = 1 << 27
# Pixels of all scans of a JPEG together: some half a second.
MOST_SCANNED = 1 << 30
# Bytes of the shortest scan of a JPEG.
SCAN_BYTES = 12
# Pixels that take little memory in any format; and the limit for a BMP file of runs, which Pillow
# decodes in Python.
SMALL_PIXELS = 1 << 20
LIMITS = (MOST_BYTES, MOST_SCANNED, SMALL_PIXELS)

_SCAN = b"\xff\xda"
_BLOCK_BYTES = 1 << 20
# Bytes of a pixel by the mode of the image; four for all others.
_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1}
_SIXTEEN_BITS = "I;16"
_MOST_PIXEL_BYTES = 4
# Two canvases and a copy for WebP; the coefficients of a JPEG that comes in several scans.
_WEBP_BYTES, _COEFFICIENT_BYTES = 12, 2
# Bytes for each row and column: pointers, and the coefficients of shrinking.
_SIDE_BYTES = 64
_STRIP_PIXELS = 1 << 18


class TooCostlyError(Exception):
    """Decoding would take too much memory or time; the message goes on after the file's name."""


def may_be_costly(image: ImageFile, sides: tuple[int, int]) -> bool:
    """Tell whether an image needs a closer look, as hardly any does.

    Args:
        image: opened by `opening`, and perhaps drafted at a reduced scale.
        sides: height and width before that.
    """
    n_pixels = sides[0] * sides[1]
    return (
        n_pixels > SMALL_PIXELS
        or n_pixels * _most_scans(image) > MOST_SCANNED
        or isinstance(image, TiffImageFile)
    )


def check_cost(image: ImageFile, sides: tuple[int, int], *, flat_mode: str, turned: bool) -> None:
    """Refuse an image whose decoding would take too much memory or time.

    Args:
        image: as in `may_be_costly`.
        sides: height and width before that.
        flat_mode: its mode in the end.
        turned: whether it will be turned.

    Raises:
        TooCostlyError: it would.
    """
    n_pixels = image.width * image.height
    n_bytes = n_pixels * (_bytes_of(image.mode) + _extra_bytes(image, flat_mode, turned=turned))
    n_bytes += _SIDE_BYTES * (image.width + image.height)
    if isinstance(image, TiffImageFile):
        n_bytes += _tile_bytes(image)
    if image.format in {"JPEG", "MPO"}:
        full, scans = sides[0] * sides[1], _scans(image)
        if scans > 1:
            n_bytes += full * _COEFFICIENT_BYTES * len(image.getbands())
        if full * scans > MOST_SCANNED:
            raise TooCostlyError(
                f"its {full:,} pixels come in {scans:,} scans, and of so many pixels at most "
                f"{MOST_SCANNED // full:,} are read"
            )
    if n_bytes > MOST_BYTES:
        raise TooCostlyError(
            f"decoding its {image.height:,} x {image.width:,} pixels would take {n_bytes:,} bytes "
            f"of memory, and at most {MOST_BYTES:,} are spent on an image"
        )
    if image.tile and image.tile[0][0] == "bmp_rle" and n_pixels > SMALL_PIXELS:
        raise TooCostlyError(
            f"its {n_pixels:,} pixels are stored as runs, and at most {SMALL_PIXELS:,} are read"
        )


def strip_rows(image: Image) -> int:
    """Number of rows that are converted at once, where a copy of all would take too much."""
    return max(_STRIP_PIXELS // image.width, 1)


def _extra_bytes(image: ImageFile, flat_mode: str, *, turned: bool) -> int:
    """Count the bytes of a pixel beside those of the image itself."""
    flat = _bytes_of(flat_mode)
    copies = (image.mode != flat_mode or image.has_transparency_data) + turned
    return copies * flat + (_WEBP_BYTES if image.format == "WEBP" else 0)


def _bytes_of(mode: str) -> int:
    """Count the bytes of a pixel in memory."""
    if mode.startswith(_SIXTEEN_BITS):
        return 2
    return _PIXEL_BYTES.get(mode, _MOST_PIXEL_BYTES)


def _tile_bytes(image: TiffImageFile) -> int:
    """Count the bytes of a tile of a TIFF file, which may be far larger than the image."""
    width, height = (_whole(image.tag_v2.get(tag)) for tag in (TILEWIDTH, TILELENGTH))
    bits: object = image.tag_v2.get(BITSPERSAMPLE, 8)
    each = sum(map(_whole, bits)) if isinstance(bits, tuple) else _whole(bits)
    samples = _whole(image.tag_v2.get(SAMPLESPERPIXEL, 1))
    return width * height * max(each, 8 * samples) // 8


def _whole(value: object) -> int:
    """Give a tag's value, or 0 where it is no whole number."""
    return value if isinstance(value, int) else 0


def _most_scans(image: ImageFile) -> int:
    """Upper bound of the number of scans of a JPEG, from the size of its file."""
    return int(getattr(image.fp, "n_bytes", 0)) // SCAN_BYTES


def _scans(image: ImageFile) -> int:
    """Count the scans of a JPEG. Each goes over all pixels, even without data for them."""
    stream = image.fp
    if stream is None:
        return 1
    place, last, found = stream.tell(), b"", 0
    stream.seek(0)
    while block := stream.read(_BLOCK_BYTES):
        found += (last + block).count(_SCAN)
        last = block[-1:]
    stream.seek(place)
    return max(found, 1)
