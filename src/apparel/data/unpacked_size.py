"""A bound on what a compressed file may unpack to.

A few kilobytes can unpack to gigabytes. Images of clothes, digits and drawings grow 2 to 60 times.
So files that claim an implausible size are rejected before they are unpacked.
"""

from pathlib import Path

from apparel.core.errors import DataError

# Any file may unpack to so many bytes, and to so many for each of its own.
SMALL_BYTES, MOST_GROWTH = 1 << 24, 100
# Kept of an image besides its pixels: its name, label and digest.
IMAGE_BYTES = 256


def check_unpacked_size(path: Path, n_bytes: int, *, n_images: int = 0) -> None:
    """Reject a file that claims an implausible size.

    Args:
        path: of the file.
        n_bytes: bytes that it claims to unpack to.
        n_images: images that it claims to hold.

    Raises:
        DataError: the size is implausible.
    """
    held = path.stat().st_size
    claimed = n_bytes + n_images * IMAGE_BYTES
    allowed = max(SMALL_BYTES, MOST_GROWTH * held)
    if claimed > allowed:
        raise DataError(
            f"{path} has {held:,} bytes, but claims to unpack to {claimed:,}; at most {allowed:,} "
            "are plausible. Get it once more, or pack the images in another form."
        )
