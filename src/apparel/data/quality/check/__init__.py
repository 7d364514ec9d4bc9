"""Dataset + which of its images are the same → a DataCheck, and a table without what spoils it.

`check_data` finds leaks, conflicting labels and the like. `exact_duplicates_of` knows equal images
by their digests, without reading one. `cleaned_table` lists the images that are left once leaks,
conflicts and exact copies are out.
"""

from apparel.data.quality.check.checking import (
    all_images,
    all_labels,
    check_data,
    exact_duplicates_of,
)
from apparel.data.quality.check.cleaning import check_place, cleaned_table, need_image_files

__all__ = [
    "all_images",
    "all_labels",
    "check_data",
    "check_place",
    "cleaned_table",
    "exact_duplicates_of",
    "need_image_files",
]
