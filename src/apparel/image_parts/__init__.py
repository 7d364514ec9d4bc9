"""Images of any number, wherever they are → parts of a job, and the images of a part.

How images are divided depends on the sources alone. So a part holds the same images, whoever works
on it and whenever.
"""

from apparel.image_parts.finding import find_parts
from apparel.image_parts.parquet_apart import RowsApart
from apparel.image_parts.parquet_rows import RowsHere
from apparel.image_parts.parts import FilePart, Part, RowPart, images_of, shown
from apparel.image_parts.storage import filesystem, is_url, stored_errors

__all__ = [
    "FilePart",
    "Part",
    "RowPart",
    "RowsApart",
    "RowsHere",
    "filesystem",
    "find_parts",
    "images_of",
    "is_url",
    "shown",
    "stored_errors",
]
