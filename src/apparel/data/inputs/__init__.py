"""Images of any number, wherever they are → parts of a job, and the images of a part.

How images are divided depends on the sources alone. So a part holds the same images, whoever works
on it and whenever.
"""

from apparel.data.inputs.finding import find_parts
from apparel.data.inputs.parts import FilePart, Part, RowPart, images_of, shown
from apparel.data.inputs.storage import filesystem, is_url, stored_errors

__all__ = [
    "FilePart",
    "Part",
    "RowPart",
    "filesystem",
    "find_parts",
    "images_of",
    "is_url",
    "shown",
    "stored_errors",
]
