"""The images of an earlier run, loaded and split as they were for it."""

import os

from apparel.core.errors import DataError, DataUnavailableError
from apparel.core.records import ARRAYS, Dataset, Splits
from apparel.core.settings import Settings
from apparel.data import loading
from apparel.data.quality.check import without_leaks
from apparel.data.splits import prepare
from apparel.runs.files import read_check
from apparel.runs.run_directory import RunDirectory


def load_data(
    directory: RunDirectory,
    *,
    source: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load the images that a run was trained and tested on.

    Args:
        directory: of the run.
        source: place of the images, if not the recorded one.
        data_dir: folder with the data set's files.

    Raises:
        DataUnavailableError: the data set cannot be had.
    """
    record = directory.settings()
    settings = Settings(**record["settings"])
    place = source or record["dataset"]["source"]
    return loading.load(place, data_dir=data_dir, **settings.of_data)


def load_splits(
    directory: RunDirectory,
    *,
    data_dir: str | os.PathLike[str] | None,
    source: str | None = None,
) -> Splits:
    """Load the images of a run, and split them as the run did.

    Args:
        directory: of the run.
        data_dir: folder with the data set's files.
        source: place of the images, if not the recorded one.

    Raises:
        DataUnavailableError: the data set cannot be had.
        DataError: the images are not those of the run.
        ModelFileError: a file of the run is broken.
    """
    record = directory.settings()
    settings, recorded = Settings(**record["settings"]), record["dataset"]
    if recorded["source"] == ARRAYS:
        raise DataUnavailableError(
            f"{directory.path} was trained on arrays, which are not kept, and an export is "
            "compared on its images. Export it in the program that trained it: "
            "classifier.export_model(path)."
        )
    dataset = load_data(directory, source=source, data_dir=data_dir)
    check = read_check(directory.path)
    if check and check.sha256 == dataset.sha256 and not settings.keep_leaks:
        dataset = without_leaks(dataset, check)
    if dataset.sha256 != recorded["sha256"]:
        raise DataError(
            f"the images of {recorded['source']} are not those that {directory.path} was trained "
            f"on: their SHA-256 is {dataset.sha256}, and the run recorded {recorded['sha256']}. "
            "Bring back the images of the run, or train once more."
        )
    return prepare(dataset, settings)
