"""Open image files of unknown origin, so that broken and hostile ones are named and do no harm."""

import io
import logging
import math
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from apparel.core.errors import DataError
from apparel.core.messages import printable, reason
from apparel.data.decode.cost import TooCostlyError

# Pillow decodes dozens of formats; some run other programs or have known holes.
FORMATS = tuple(
    str(kind.format)
    for kind in (
        PngImagePlugin.PngImageFile,
        JpegImagePlugin.JpegImageFile,  # also reads the MPO of phones
        WebPImagePlugin.WebPImageFile,
        GifImagePlugin.GifImageFile,
        BmpImagePlugin.BmpImageFile,
        TiffImagePlugin.TiffImageFile,
    )
)
# As many pixels as Pillow's limit, with 8 bytes each, and some more.
MAX_FILE_BYTES = 1 << 30

# A header of thousands of tiny parts takes Pillow longer than a large image. Of BMP, which has no
# parts, runs of pixels are read one by one.
FEWEST_READS, BYTES_A_READ, MOST_READS = 1 << 12, 64, 1 << 19

Source: TypeAlias = str | os.PathLike[str] | bytes
# The name of an image in messages and tables, and the image.
NamedSource: TypeAlias = tuple[str, Source]

_SHOWN_BYTES = 12

# Where a program configures no logging, Python prints errors that Pillow logs.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class BadImageError(DataError):
    """A file cannot be used as an image. The message is one line and names the file."""


@contextmanager
def opened(source: Source, name: str | None) -> Iterator[ImageFile]:
    """Open an image whose pixels are safe to decode; errors inside become a BadImageError."""
    shown = printable(name or ("the image" if isinstance(source, bytes) else os.fsdecode(source)))
    begin = b""
    try:
        with _stream(source, shown) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata; the limit of pixels is checked below
            begin = stream.read(_SHOWN_BYTES)
            if begin.startswith(b"BM"):
                stream.reads_left = math.inf
            with Image.open(stream, formats=FORMATS) as image:
                _check(image, shown)
                yield image
    except BadImageError:
        raise
    except Exception as error:  # Pillow meets broken files with errors of any kind
        raise BadImageError(_message(error, shown, begin)) from error


class _TooManyPartsError(Exception):
    """A file is read in more parts than an image has."""

    def __init__(self) -> None:
        super().__init__("it has more parts than any image")


class _CountedFile(io.BufferedReader):
    """A file, or the content of one, whose reads are counted.

    Attributes:
        n_bytes: size of the file.
        reads_left: number of further reads that are allowed.
    """

    n_bytes: int = 0
    reads_left: float = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, or refuse to go on."""
        self.reads_left -= 1
        if self.reads_left < 0:
            raise _TooManyPartsError
        return _read(self, size)


# Faster than `super()`: a JPEG's header is read byte by byte.
_read = io.BufferedReader.read


def _message(error: Exception, shown: str, begin: bytes) -> str:
    """Explain why a file cannot be used, and what to do."""
    if isinstance(error, FileNotFoundError):
        return f"there is no file {shown}. Check its path."
    if isinstance(error, UnidentifiedImageError):
        return (
            f"{shown} is no image of a format that is read, or its header is damaged: expected was "
            f"PNG, JPEG, WebP, GIF, BMP or TIFF, but it begins with {begin!r}. Save it as PNG, or "
            "leave it out."
        )
    if isinstance(error, Image.DecompressionBombError):
        return _too_large(shown)
    if isinstance(error, TooCostlyError):
        return f"{shown} is too large to open safely: {error}. Save it smaller, or leave it out."
    if isinstance(error, OSError) and error.strerror:  # the system's, not Pillow's
        return f"{shown} cannot be read ({error.strerror}). Allow reading it, or leave it out."
    return (
        f"{shown} cannot be read as an image: expected was a whole image file, but it is damaged "
        f"or cut off ({reason(error)}). Copy or save it again, or leave it out."
    )


def _stream(source: Source, shown: str) -> _CountedFile:
    """Open a file, or give bytes the form of one.

    Raises:
        BadImageError: it is no regular file, is empty or has more bytes than an image can need.
        OSError: it cannot be opened.
    """
    if isinstance(source, bytes):
        n_bytes = len(source)
    else:
        status = os.stat(source)  # noqa: PTH116  # a Path takes longer to make than to look up
        if not stat.S_ISREG(status.st_mode):
            raise BadImageError(  # opening a pipe would wait for a writer
                f"{shown} is {_kind(status.st_mode)}, but expected was a file with an image. Give "
                "the path of a file."
            )
        n_bytes = status.st_size
    if n_bytes == 0:
        raise BadImageError(f"{shown} is empty: 0 bytes. Copy it again, or leave it out.")
    if n_bytes > MAX_FILE_BYTES:
        raise BadImageError(
            f"{shown} is too large to open safely: it has {n_bytes:,} bytes, but at most "
            f"{MAX_FILE_BYTES:,} are read. Save the image smaller, or leave it out."
        )
    raw: Any = io.BytesIO(source) if isinstance(source, bytes) else io.FileIO(source)
    stream = _CountedFile(raw)
    stream.n_bytes = n_bytes
    stream.reads_left = min(FEWEST_READS + n_bytes // BYTES_A_READ, MOST_READS)
    return stream


def _kind(mode: int) -> str:
    """Name the kind of something that is no regular file."""
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"


def _check(image: ImageFile, shown: str) -> None:
    """Raise BadImageError if the header tells too many pixels, or pixels of no known range."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise BadImageError(_too_large(shown))
    if image.mode in {"I", "F"}:
        raise BadImageError(
            f"{shown} has pixels of 32 bits and no known range, but expected were 8 bits, or 16 of "
            "grey. Save it with 8 or 16, or leave it out."
        )


def _too_large(shown: str) -> str:
    """Explain that an image has too many pixels."""
    return (
        f"{shown} is too large to open safely: it has more than the {Image.MAX_IMAGE_PIXELS:,} "
        "pixels that are read at most. Save it smaller, or leave it out."
    )
