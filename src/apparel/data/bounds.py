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
# Letters of something from a file that a message shows.
SHOWN = 60
# Letters of a library's own message.
REASON = 300


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


def shown(found: object) -> str:
    """Something from a file, as a message may show it: short, on one line, and harmless."""
    written = str(found)[: SHOWN + 1]
    if not written.isprintable():
        written = ascii(written)
    return written if len(written) <= SHOWN else written[: SHOWN - 3] + "..."


def reason(error: BaseException | str) -> str:
    """Why something failed, on one line; some libraries say nothing, and some quote the file."""
    said = " ".join(str(error).split()).rstrip(".")[:REASON] or type(error).__name__
    return said if said.isprintable() else ascii(said)
