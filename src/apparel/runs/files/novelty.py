"""`novelty.npz`: what the training images look like."""

import zipfile
from pathlib import Path

from apparel.core.atomic_files import atomic_path
from apparel.core.errors import DataError, ModelFileError
from apparel.core.records import Novelty

NOVELTY_FILE = "novelty.npz"


def write_novelty(novelty: Novelty, folder: Path) -> None:
    """Write `novelty.npz`: arrays alone.

    Args:
        novelty: what the training images look like.
        folder: the run directory.
    """
    import numpy as np  # noqa: PLC0415  # --help has no time for it

    with atomic_path(folder / NOVELTY_FILE) as temporary:
        np.savez_compressed(temporary, **novelty.as_arrays())


def read_novelty(folder: Path) -> Novelty | None:
    """Read back what `write_novelty` wrote, or None where it wrote nothing.

    Args:
        folder: the run directory.

    Raises:
        ModelFileError: the file is broken.
    """
    import numpy as np  # noqa: PLC0415  # --help has no time for it

    path = folder / NOVELTY_FILE
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Novelty.from_arrays(dict(arrays))
    except (DataError, EOFError, KeyError, OSError, TypeError, ValueError,
            zipfile.BadZipFile) as error:  # fmt: skip
        raise ModelFileError(
            f"{path} does not say what the training images look like ({error!r}). Run it once more."
        ) from error
