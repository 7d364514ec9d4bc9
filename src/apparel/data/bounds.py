"""What a compressed file may grow to.

A few kilobytes can be written so that they unpack to gigabytes. Images of clothes, digits and
drawings grow 2 to 60 times. So what promises to grow much more is refused before it is unpacked.
"""

from pathlib import Path

from apparel.core.errors import DataError

# What any file may unpack to, however small it is.
SMALL_BYTES = 1 << 24
# Beyond that, for each byte of the file.
MOST_GROWTH = 100
# What is kept of an image besides its pixels: its name, its label and its digest.
IMAGE_BYTES = 256


def check_growth(path: Path, n_bytes: int, *, n_images: int = 0) -> None:
    """Refuse a file that promises far more than it has room for.

    Args:
        path: of the file.
        n_bytes: that it promises to unpack to.
        n_images: that it promises.

    Raises:
        DataError: it promises too much.
    """
    held = path.stat().st_size
    promised = n_bytes + n_images * IMAGE_BYTES
    allowed = max(SMALL_BYTES, MOST_GROWTH * held)
    if promised > allowed:
        raise DataError(
            f"{path} has {held:,} bytes, but promises {promised:,} once it is unpacked; at most "
            f"{allowed:,} are believed. Get it once more, or pack the images in another form."
        )
