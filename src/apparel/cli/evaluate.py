"""`apparel evaluate`: score the model of a run once more."""

import os
from argparse import Namespace

from apparel.cli.loading import count_evaluation, load_run
from apparel.core.messages import quiet
from apparel.core.recipes import Recipe
from apparel.core.records import Evaluation
from apparel.data.arrays import scale_pixels
from apparel.data.sources import fashion_mnist
from apparel.evaluation import metrics
from apparel.models import keras_inference
from apparel.reporting import text
from apparel.runs.files import WEIGHTS_FILE
from apparel.runs.run_directory import RunDirectory


def main(parsed: Namespace) -> None:
    """Evaluate, and print every figure."""
    evaluation, times = _evaluate(parsed.run, parsed.data, parsed.data_dir)
    highest = fashion_mnist.highest_credible_accuracy(evaluation.class_names)
    print(text.too_good_line(evaluation, highest), end="")
    print(text.repeated_test_line(times), end="")
    print(
        text.metric_lines(evaluation),
        evaluation.report,
        text.calibration_lines(evaluation),
        sep="\n\n",
    )


@quiet
def evaluate(
    run: str | os.PathLike[str],
    *,
    data: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """Score the model of a run on its test images once more.

    Each evaluation on the run's own test images is counted in its `settings.json`.

    Args:
        run: a run directory.
        data: name or path of another data set than the run's.
        data_dir: folder with the data set's files.

    Raises:
        ModelFileError: the run or its model is broken, or the data do not fit it.
        DataUnavailableError: the data set cannot be had.
        OSError: the run directory cannot be written.

    Example:
        >>> apparel.evaluate("runs/coats").metrics["accuracy"]
    """
    return _evaluate(run, data, data_dir)[0]


def _evaluate(
    run: str | os.PathLike[str], data: str | None, data_dir: str | os.PathLike[str] | None
) -> tuple[Evaluation, int]:
    """Evaluate; give the evaluation, and how often these images have been scored."""
    directory = RunDirectory.open(run, needs=WEIGHTS_FILE)
    record = directory.settings()
    model, dataset = load_run(directory, source=data, data_dir=data_dir)
    images = scale_pixels(dataset.test_images)
    probabilities = keras_inference.predict_probabilities(model, images)
    recipe = Recipe(**record["recipe"])
    evaluation = metrics.evaluate(
        probabilities,
        dataset.test_labels,
        dataset.class_names,
        averaged=keras_inference.predict_averaged(model, images, probabilities, recipe),
        calibration=directory.calibration(),
        imbalanced=record["dataset"].get("class_weights") is not None,
    )
    return evaluation, count_evaluation(directory, dataset)
