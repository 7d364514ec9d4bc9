"""`apparel report`: write report and model card of a run anew."""

import os
from argparse import Namespace
from dataclasses import replace
from typing import Any

from apparel.cli.loading import load_run
from apparel.core.atomic_files import write_text
from apparel.core.errors import ApparelError, ModelFileError
from apparel.core.messages import quiet
from apparel.core.records import Evaluation, Evidence, Report, source_name
from apparel.core.settings import Settings, run_command
from apparel.data import arrays
from apparel.evaluation import metrics
from apparel.explain import findings, saliency
from apparel.models import architectures, keras_inference
from apparel.reporting.html.page import html_page
from apparel.reporting.model_card import model_card
from apparel.runs import files
from apparel.runs.run_directory import RunDirectory

N_MISTAKES = 24
REPORT_FILE = "report.html"


def main(parsed: Namespace) -> None:
    """Write, and print where."""
    report(parsed.run, data_dir=parsed.data_dir)
    print(f"Report: {parsed.run / REPORT_FILE}")


@quiet
def report(
    run: str | os.PathLike[str], *, data_dir: str | os.PathLike[str] | None = None
) -> Report:
    """Write `report.html` and the model card, `README.md`, from the records of a run.

    Args:
        run: the directory of a run that was tested.
        data_dir: folder with the data set's files.

    Returns:
        What both say of the run.

    Raises:
        ModelFileError: the run is not finished, or a file of it is broken.
        DataUnavailableError: the data set cannot be had.
        OSError: the run directory cannot be written.

    Example:
        >>> apparel.report("runs/coats").findings
    """
    directory = RunDirectory.open(run, needs=files.PREDICTIONS_FILE)
    content = load_report(directory, data_dir)
    write_text(directory.path / REPORT_FILE, html_page(content))
    write_text(directory.path / "README.md", model_card(content))
    return content


def load_report(directory: RunDirectory, data_dir: str | os.PathLike[str] | None = None) -> Report:
    """Collect everything that is known of a run.

    Raises:
        ModelFileError: the run is not finished, or a file of it is broken.
        DataUnavailableError: the data set cannot be had.
    """
    record = directory.settings()
    evaluation = _evaluation(directory)
    model, dataset = load_run(directory, data_dir=data_dir)
    probabilities, labels = evaluation.probabilities, evaluation.true
    history = files.read_history(directory.path, record)
    images = arrays.scale_pixels(dataset.test_images)
    worst = evaluation.worst_mistakes(N_MISTAKES)
    counts = record["dataset"]["images_per_class"]
    check = files.read_check(directory.path)
    evidence = Evidence(
        evaluation=evaluation,
        history=history,
        images_per_class=counts["training"],
        label_issues=files.read_suspects(directory.path, record, check),
        robustness=files.read_robustness(directory.path),
    )
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
        command=run_command(Settings(**record["settings"]), source=source),
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
    _, _, further = files.read_accuracies(directory.path)
    return replace(evaluation, metrics={**evaluation.metrics, **further})


def _listed(values: dict[str, Any]) -> str:
    """List names and values in a line, without those that are None."""
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)


def _facts(settings: dict[str, Any]) -> dict[str, str]:
    """Describe how a run was made, a line for each heading."""
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
