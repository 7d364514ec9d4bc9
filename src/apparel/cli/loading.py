"""A run directory → its model, and the images that it was trained and tested on."""

import os
from typing import Any

from apparel.core.errors import ApparelError, ModelFileError
from apparel.core.recipes import Recipe
from apparel.core.records import Dataset
from apparel.models import architectures, keras_inference
from apparel.runs import files, inputs
from apparel.runs.run_directory import RunDirectory


def load_model(directory: RunDirectory) -> Any:
    """Build the model of a run again, from its settings and its weights.

    Returns:
        The `keras.Model`, uncompiled.

    Raises:
        ModelFileError: a file is missing or broken, or the weights are those of another model.
    """
    record, weights = directory.settings(), files.read_weights(directory.path)
    path = directory.path / files.WEIGHTS_FILE
    try:
        recipe = Recipe(**record["recipe"])
        model = architectures.rebuild(
            recipe.model_name,
            n_classes=len(record["class_names"]),
            img_shape=tuple(record["img_shape"]),
            width=recipe.width,
            calibration=directory.calibration(),
            weights=weights,
        )
    except (ApparelError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} cannot be used: {error}. Restore the run directory, or train again."
        ) from error
    if architectures.weights_sha256(model) != record.get("weights_sha256"):
        raise ModelFileError(
            f"{path} holds other weights than those that were trained: their SHA-256 is not the "
            "one that settings.json records. Restore the run directory, or train again."
        )
    return model


def load_run(
    directory: RunDirectory,
    *,
    source: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> tuple[Any, Dataset]:
    """Load the model of a run, and the images that it was trained and tested on.

    Args:
        directory: of the run.
        source: name or path of another data set.
        data_dir: folder with the data set's files.

    Raises:
        ModelFileError: the model is broken, or the data do not fit it.
        DataUnavailableError: the data set cannot be had.
    """
    model = load_model(directory)
    dataset = inputs.load_data(directory, source=source, data_dir=data_dir)
    keras_inference.check_fits(model, n_classes=dataset.n_classes, img_shape=dataset.img_shape)
    return model, dataset


def count_evaluation(directory: RunDirectory, dataset: Dataset) -> int:
    """Record that a run's own test images were scored once more.

    Returns:
        How often they have been scored, 1 for the first time and for other images.
    """
    if dataset.test_sha256 != directory.settings()["dataset"].get("test_sha256"):
        return 1
    return directory.count_test_evaluation()
