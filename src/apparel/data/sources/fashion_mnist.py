"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747; MIT licence, Zalando SE).

60,000 training and 10,000 test images of 28x28 grey pixels, in ten classes of equal size.
"""

import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.core import backend
from apparel.core.errors import DataError, DataUnavailableError
from apparel.core.records import Dataset
from apparel.data.arrays import from_arrays
from apparel.data.assembly import Split
from apparel.data.sources.idx import idx_sha256, read_idx_file
from apparel.data.sources.keras_cache import LOGGER, KnownFile, ensure_cached
from apparel.data.sources.mirrors import Mirror, apt_mirror, folder_mirror, keras_mirror

Arrays: TypeAlias = Sequence[NDArray[np.uint8]]

FASHION_MNIST_LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# Above the best credible single network (96.9 %, Tanveer et al., "Fine-Tuning DARTS for Image
# Classification", 2020, arXiv 2006.09042).
HIGHEST_CREDIBLE_ACCURACY = 0.975
# The release of 2017-08-31 and later: the one before it had duplicates across the splits.
FILES = (
    KnownFile(
        "train-images-idx3-ubyte.gz",
        47_040_016,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    KnownFile(
        "train-labels-idx1-ubyte.gz",
        60_008,
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    KnownFile(
        "t10k-images-idx3-ubyte.gz",
        7_840_016,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    KnownFile(
        "t10k-labels-idx1-ubyte.gz",
        10_008,
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)
CACHE_SUBFOLDER = Path("datasets", "fashion-mnist")
DATA_DIR_VARIABLE = "APPAREL_DATA_DIR"
DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
# Files that change between the check and the reading are fetched once more; a second change means
# that the disk or the memory is broken.
ATTEMPTS = 2
_PART = re.compile(r"fashion-mnist:(train|test)(?:\[(\d{0,9}):(\d{0,9})\])?")
# Where keras.datasets.fashion_mnist.load_data() downloads from.
KERAS_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def load_fashion_mnist(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Load Fashion-MNIST through Keras, after making sure that Keras will find the right files.

    Args:
        data_dir: a folder that may hold the four files; by default, the environment variable
            `APPAREL_DATA_DIR`.

    Returns:
        60,000 training images, shape (60000, 28, 28, 1), and 10,000 test images.

    Raises:
        DataUnavailableError: no mirror has the files; the message says why, for each.
        ApparelError: Keras's cache cannot be written, for example because the disk is full.
    """
    keras = backend.load_keras()
    # Keras publishes no name for it. Rebuilding it here could part from Keras unnoticed.
    home = Path(keras.src.backend.config.keras_home()).expanduser()
    arrays = _load_known(home, FILES, lambda _cache: _by_keras(keras), data_dir)
    return from_arrays(*arrays, class_names=FASHION_MNIST_LABELS, source="fashion-mnist")


def load_images(split: Split, data_dir: str | os.PathLike[str] | None = None) -> NDArray[np.uint8]:
    """Load the images of one split, without Keras in the process unless they must be downloaded.

    Args:
        split: "train" or "test".
        data_dir: as for `load_fashion_mnist`.

    Returns:
        Shape (60000, 28, 28, 1) or (10000, 28, 28, 1), 0 to 255.

    Raises:
        DataUnavailableError: no mirror has the file; the message says why, for each.
        ApparelError: Keras's cache cannot be written, for example because the disk is full.
    """
    file = FILES[0 if split == "train" else 2]
    (images,) = _load_known(
        keras_home(), [file], lambda cache: [read_idx_file(cache / file.name, "images")], data_dir
    )
    return images[..., np.newaxis]


def load_part(
    name: str, data_dir: str | os.PathLike[str] | None = None
) -> tuple[list[str], NDArray[np.uint8]]:
    """Load images of Fashion-MNIST that follow each other.

    Args:
        name: "fashion-mnist:test" or "fashion-mnist:train" or, with positions as Python slices a
            list, for example "fashion-mnist:test[0:100]".
        data_dir: a folder that may hold the data set's files.

    Returns:
        Their names, n; and the images, shape (n, 28, 28, 1), 0 to 255.

    Raises:
        DataError: there is no such part, or no image in it.
        DataUnavailableError: the data set cannot be had.
    """
    match = _PART.fullmatch(name)
    if match is None:
        raise DataError(
            f"{name} names no part of Fashion-MNIST. Expected is fashion-mnist:test, "
            "fashion-mnist:train, or a part of them such as fashion-mnist:test[0:100]."
        )
    split: Split = "train" if match[1] == "train" else "test"
    start, stop = (int(number) if number else None for number in match.groups()[1:])
    images = load_images(split, data_dir)
    chosen = range(len(images))[start:stop]
    if not chosen:
        raise DataError(
            f"{name} holds no image: Fashion-MNIST has {len(images):,} images in {split}, counted "
            f"from 0. Name some, for example fashion-mnist:{split}[0:100]."
        )
    names = [f"fashion-mnist:{split}[{position}]" for position in chosen]
    return names, images[chosen.start : chosen.stop]


def _load_known(
    home: Path,
    files: Sequence[KnownFile],
    read: Callable[[Path], Arrays],
    data_dir: str | os.PathLike[str] | None,
) -> Arrays:
    """Fill the cache, read arrays from it, and check them against the known content.

    Args:
        home: Keras's home.
        files: to be read.
        read: takes the folder and gives the content of each file.
        data_dir: as for `load_fashion_mnist`.

    Raises:
        DataUnavailableError: no mirror has the files, or they change whenever they are read.
    """
    cache = keras_cache(home)
    mirrors = find_mirrors(home, cache, data_dir)
    for _ in range(ATTEMPTS):
        ensure_cached(cache, files, mirrors, title="Fashion-MNIST", remedy=_remedy())
        try:
            arrays = read(cache)
        except (EOFError, OSError, ValueError, zlib.error) as error:
            why = " ".join(str(error).split())
        else:
            wrong = [
                file.name
                for file, array in zip(files, arrays, strict=True)
                if idx_sha256(array) != file.sha256
            ]
            if not wrong:
                return arrays
            why = f"{', '.join(wrong)}: other content than was checked"
        LOGGER.warning("Fashion-MNIST changed in %s while it was read (%s).", cache, why)
    raise DataUnavailableError(
        f"Fashion-MNIST could not be read from {cache}: its files were right when they were "
        f"checked, and not when they were read ({why}). Expected was that they stay the same. Try "
        "again; if it happens once more, test this machine's disk and memory."
    )


def _by_keras(keras: Any) -> Arrays:
    """Read the cache by Keras, in the order of `FILES`; an OSError if a file is missing."""
    try:
        (train_images, train_labels), (test_images, test_labels) = (
            keras.datasets.fashion_mnist.load_data()
        )
    except Exception as error:
        if type(error) is not Exception:  # as Keras wraps the errors of urllib
            raise
        raise OSError(str(error)) from error
    return train_images, train_labels, test_images, test_labels


def keras_home() -> Path:
    """Find Keras's home by its own rule, without loading it."""
    named = os.environ.get("KERAS_HOME")
    return Path(named).expanduser() if named else Path("~", ".keras").expanduser()


def keras_cache(home: Path) -> Path:
    """Find the folder from which Keras's `load_data` will read.

    Args:
        home: Keras's home.

    Returns:
        The folder, which may not exist yet. As in `keras.utils.get_file`, it lies under
        /tmp/.keras where `home` cannot be written to.
    """
    if not os.access(home, os.W_OK):
        temporary = Path("/tmp")  # noqa: S108  # Keras's choice; every file is checked
        home = (temporary if temporary.is_dir() else Path(tempfile.gettempdir())) / ".keras"
    return home / CACHE_SUBFOLDER


def find_mirrors(
    home: Path, cache: Path, data_dir: str | os.PathLike[str] | None
) -> tuple[Mirror, ...]:
    """List mirrors of the files, in the order in which they are tried.

    Args:
        home: Keras's home.
        cache: the folder to fill.
        data_dir: the folder that the user named, or None.
    """
    mirrors = []
    if home / CACHE_SUBFOLDER != cache:
        mirrors.append(folder_mirror("Keras's home, read-only", home / CACHE_SUBFOLDER))
    named = data_dir or os.environ.get(DATA_DIR_VARIABLE)
    if named:
        folder = Path(named).expanduser()
        _warn_of_lacking_files(folder)
        mirrors.append(folder_mirror("the folder you named", folder))
    return (
        *mirrors,
        folder_mirror(f"the folder of the package {DEBIAN_PACKAGE}", DEBIAN_FOLDER),
        keras_mirror(KERAS_ORIGIN),
        apt_mirror(DEBIAN_PACKAGE, os.fspath(DEBIAN_FOLDER.relative_to("/"))),
    )


def _warn_of_lacking_files(folder: Path) -> None:
    """Say what the named folder lacks, even if the cache has everything: it may be a slip."""
    lacking = [file.name for file in FILES if not os.access(folder / file.name, os.R_OK)]
    if lacking:
        LOGGER.warning(
            "The folder named for the data, %s, has no readable %s.", folder, ", ".join(lacking)
        )


def _remedy() -> str:
    """List the remedies if no mirror has the files, one action a line."""
    apt = f"  sudo apt-get update && sudo apt-get install {DEBIAN_PACKAGE}\n"
    return (
        f"{apt if shutil.which('apt-get') else ''}"
        f"  --data-dir FOLDER (or {DATA_DIR_VARIABLE}=FOLDER), where FOLDER holds\n"
        f"    {', '.join(file.name for file in FILES)}"
    )


def highest_credible_accuracy(class_names: Sequence[str]) -> float:
    """Give the accuracy above which to suspect a mistake; 1 for classes of other data sets."""
    return HIGHEST_CREDIBLE_ACCURACY if tuple(class_names) == FASHION_MNIST_LABELS else 1.0
