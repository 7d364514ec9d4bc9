"""Images → those that are copies of an earlier one.

Copies with the same bytes are known by their digest. Others may be mirrored left to right, shifted
by a pixel, saved again as JPEG, or all of these; they are searched for in two steps, as in B. Barz
and J. Denzler, "Do We Train on Test Data? Purging CIFAR of Near-Duplicates", 2019, arXiv
1902.00423, but without a trained network: `descriptors` and `candidates` find pairs that might be
copies, `comparison` looks at their pixels.
"""

from apparel.data.quality.duplicates.search import find_duplicates

__all__ = ["find_duplicates"]
