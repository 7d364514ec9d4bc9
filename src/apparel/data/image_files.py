"""Labelled image files → labelled images."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from apparel.core.errors import DataError
from apparel.data.assembly import LabelledImages, Split
from apparel.data.decoded import decode_files


def read_files(
    root: Path,
    names: Sequence[str],
    *,
    labels: Sequence[str],
    splits: Sequence[Split] | None,
    left_out: Mapping[str, str],
    image_size: int | None,
    cache: Path,
) -> LabelledImages:
    """Read image files; what cannot be read is named.

    Args:
        root: that names are relative to.
        names: of the files.
        labels: the class of each file.
        splits: the split of each file; None for a source that makes no difference.
        left_out: what was not to be read, by name: why.
        image_size: height and width; None for what fits the images.
        cache: where decoded images are kept.

    Raises:
        DataError: no file can be read.
        ApparelError: the cache cannot be written.
    """
    paths = [os.path.join(root, name) for name in names]  # noqa: PTH118  # millions of files
    found = decode_files(paths, root=root, image_size=image_size, cache=cache)
    unreadable = {**left_out, **{names[i]: why for i, why in found.problems.items()}}
    if not len(found.positions):
        raise DataError(
            f"none of the {len(names) + len(left_out):,} files in {root} can be read as an image. "
            f"The first one: {next(iter(unreadable.values()))}"
        )
    return LabelledImages(
        images=found.pixels,
        labels=[labels[i] for i in found.positions],
        splits=None if splits is None else [splits[i] for i in found.positions],
        names=[names[i] for i in found.positions],
        unreadable=unreadable,
        sizes=Counter(map(tuple, found.sizes.tolist())),
    )
