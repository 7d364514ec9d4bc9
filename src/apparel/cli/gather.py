"""A run directory → its model, its images, and everything that a report shows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from apparel.core.errors import ApparelError, ModelFileError
from apparel.core.records import Dataset, Evaluation, Evidence, Report, source_name
from apparel.core.settings import Recipe, Settings, run_command
from apparel.data import arrays
from apparel.evaluation import metrics
from apparel.explain import findings, saliency
from apparel.models import architectures, keras_inference
from apparel.runs import files, inputs
from apparel.runs.run_directory import RunDirectory

N_MISTAKES = 24


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
    directory: RunDirectory, *, source: str | None, data_dir: Path | None
) -> tuple[Any, Dataset]:
    """Load the model of a run, and the images that it was trained and tested on.

    Raises:
        ModelFileError: the model is broken, or the data do not fit it.
        DataUnavailableError: the data set cannot be had.
    """
    model = load_model(directory)
    dataset = inputs.load_data(directory, source=source, data_dir=data_dir)
    keras_inference.check_fits(model, n_classes=dataset.n_classes, img_shape=dataset.img_shape)
    return model, dataset


def load_report(directory: RunDirectory, data_dir: Path | None) -> Report:
    """Gather everything that is known of a run.

    Raises:
        ModelFileError: the run is not finished, or a file of it is broken.
        DataUnavailableError: the data set cannot be had.
    """
    record = directory.settings()
    model, dataset = load_run(directory, source=None, data_dir=data_dir)
    evaluation = _evaluation(directory)
    probabilities, labels = evaluation.probabilities, evaluation.true
    history = files.read_history(directory.path, record)
    images = arrays.scale_pixels(dataset.test_images)
    worst = evaluation.worst_mistakes(N_MISTAKES)
    counts = record["dataset"]["images_per_class"]
    evidence = Evidence(
        evaluation=evaluation,
        history=history,
        images_per_class=counts["training"],
        label_issues=directory.suspects(),
        robustness=directory.robustness(),
    )
    check = directory.check()
    source, name = source_name(record["dataset"]["source"]), record["recipe"]["model_name"]
    return Report(
        title=f"{name} on {source}",
        summary=f"The model {name}, with {model.count_params():,} parameters, was trained on "
        f"{sum(counts['training']):,} images of {dataset.n_classes} classes from {source}, and "
        f"tested on {len(labels):,} others.",
        headline=findings.headline(evaluation),
        findings=findings.explain(evidence),
        evaluation=evaluation,
        train_images=dataset.train_images,
        test_images=dataset.test_images,
        history=history,
        mistakes=keras_inference.describe(
            worst, probabilities[worst], images, labels, evaluation.class_names
        ),
        saliency=saliency.explain_images(
            model, architectures.logits_model(model), images[worst], evaluation.predicted[worst]
        ),
        label_issues=evidence.label_issues,
        robustness=evidence.robustness,
        # Of other images, its positions would point at wrong ones.
        check=check if check and check.sha256 == dataset.sha256 else None,
        facts=_facts(record),
        command=run_command(Settings(**record["settings"]), source=record["dataset"]["source"]),
    )


def _evaluation(directory: RunDirectory) -> Evaluation:
    """Read back a run's test result.

    Raises:
        ModelFileError: the run is not finished, or a file of it is broken.
    """
    probabilities, labels = files.read_predictions(directory.path)
    record = directory.settings()
    try:
        evaluation = metrics.evaluate(
            probabilities,
            labels,
            tuple(record["class_names"]),
            calibration=directory.calibration(),
            imbalanced=record["dataset"].get("class_weights") is not None,
        )
    except ApparelError as error:
        path = directory.path / files.PREDICTIONS_FILE
        raise ModelFileError(f"{path} holds no predictions: {error}") from error
    further = files.read_further_accuracies(directory.path)
    return replace(evaluation, metrics={**evaluation.metrics, **further})


def _listed(values: dict[str, Any]) -> str:
    """Names and values in a line, without those that say nothing."""
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)


def _facts(settings: dict[str, Any]) -> dict[str, str]:
    """The lines of a report that say how a run was made."""
    chosen, versions = settings["number_format"], settings["versions"]
    dataset = settings["dataset"]
    return {
        "Started": settings["started"],
        "Settings": _listed(settings["settings"] | settings["recipe"]),
        "Number format of training": f"{chosen['policy']} ({chosen['reason']})",
        "Data": f"{source_name(dataset['source'])}, SHA-256 {dataset['sha256']}",
        "Versions": ", ".join(f"{key} {value}" for key, value in versions.items()),
        "Processor": settings["processor"],
        "Platform": settings["platform"],
    }
