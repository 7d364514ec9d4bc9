"""Files whose content is known beforehand: read, and believed only if they match."""

import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20
# Compression can make data slightly larger: headers, and 5 bytes a 16 KB block at worst.
COMPRESSED_MARGIN = 1 << 16


@dataclass(frozen=True)
class KnownFile:
    """A gzip file with known content.

    Attributes:
        name: the file name.
        size: bytes of the decompressed content.
        sha256: of the decompressed content. Compressed bytes differ from source to source.
    """

    name: str
    size: int
    sha256: str


class FileFaultError(Exception):
    """A file is not what it should be; the message continues a sentence that names it."""


class FileMissingError(FileFaultError):
    """There is no such file."""


def read_known(folder: Path, expected: KnownFile) -> bytes:
    """Read a gzip file and check what it holds.

    Args:
        folder: where the file should be.
        expected: its name and content.

    Returns:
        The bytes of the file, still compressed.

    Raises:
        FileMissingError: there is no such file.
        FileFaultError: it cannot be read, is cut, or holds something else.
    """
    path = folder / expected.name
    limit = expected.size + COMPRESSED_MARGIN
    try:
        if not path.exists():
            raise FileMissingError("is missing")
        # Opening a pipe or device could wait for ever.
        if not path.is_file():
            raise FileFaultError("is not a file")
        with path.open("rb") as stream:
            compressed = stream.read(limit + 1)
    except OSError as error:
        raise FileFaultError(f"cannot be read ({error.strerror})") from error
    if len(compressed) > limit:
        raise FileFaultError(f"is larger than its content of {expected.size} bytes can be")
    _check_content(compressed, expected)
    return compressed


def _check_content(compressed: bytes, expected: KnownFile) -> None:
    """Decompress in chunks, never much beyond the expected size, and compare the hash.

    Raises:
        FileFaultError: the bytes are no gzip file, are cut, or hold something else.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(compressed)) as content:
            while chunk := content.read(CHUNK):
                size += len(chunk)
                if size > expected.size:
                    raise FileFaultError(f"holds more than the expected {expected.size} bytes")
                digest.update(chunk)
    except EOFError as error:
        raise FileFaultError(f"is cut short after {len(compressed)} bytes") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileFaultError(f"is no intact gzip file ({error})") from error
    if size < expected.size:
        raise FileFaultError(f"holds {size} bytes, expected {expected.size}")
    if digest.hexdigest() != expected.sha256:
        raise FileFaultError(
            f"holds the wrong content (SHA-256 {digest.hexdigest()}, expected {expected.sha256})"
        )
