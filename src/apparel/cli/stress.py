"""`apparel stress`: score the model of a run on corrupted and adversarial images."""

import os
from argparse import Namespace
from pathlib import Path

from apparel.cli.loading import count_evaluation, load_run
from apparel.cli.report import REPORT_FILE, report
from apparel.core.messages import quiet
from apparel.core.records import Robustness
from apparel.data.arrays import scale_pixels
from apparel.evaluation.robustness import measure_robustness
from apparel.models import architectures, keras_inference
from apparel.reporting import plots, text
from apparel.runs import files
from apparel.runs.run_directory import RunDirectory


def main(parsed: Namespace) -> None:
    """Stress, and print each corruption's accuracies."""
    robustness, times, written = _stress(parsed.run, parsed.data_dir)
    print(text.repeated_test_line(times), end="")
    print(f"Report: {written}")
    print(text.robustness_lines(robustness))


@quiet
def stress(
    run: str | os.PathLike[str], *, data_dir: str | os.PathLike[str] | None = None
) -> Robustness:
    """Score the model of a run on corrupted test images, and record it in the run.

    Args:
        run: a run directory; gets `stress.json`, a plot and a new report.
        data_dir: folder with the data set's files.

    Raises:
        ModelFileError: the run or its model is broken, or the data do not fit it.
        DataUnavailableError: the data set cannot be had.
        OSError: the run directory cannot be written.

    Example:
        >>> apparel.stress("runs/coats").accuracy
    """
    return _stress(run, data_dir)[0]


def _stress(
    run: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None
) -> tuple[Robustness, int, Path]:
    """Stress; also give how often the test images have been scored, and the report's path."""
    directory = RunDirectory.open(run, needs=files.WEIGHTS_FILE)
    model, dataset = load_run(directory, data_dir=data_dir)
    robustness = measure_robustness(
        lambda images: keras_inference.predict_probabilities(model, images),
        architectures.logits_model(model),
        scale_pixels(dataset.test_images),
        dataset.test_labels,
        seed=directory.settings()["settings"]["seed"],
    )
    files.write_robustness(directory.path, robustness)
    files.write_figure(directory.path, "robustness", plots.robustness_figure(robustness))
    times = count_evaluation(directory, dataset)
    report(run, data_dir=data_dir)
    return robustness, times, directory.path / REPORT_FILE
