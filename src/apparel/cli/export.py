"""`apparel export`: write the model of a run in another format."""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from apparel.cli.loading import load_model
from apparel.core.errors import UsageError
from apparel.core.model_formats import FASHION_MNIST, SUFFIXES, default_name, format_of
from apparel.core.recipes import Recipe
from apparel.core.records import Exported
from apparel.core.settings import Settings
from apparel.export import exporting, metadata
from apparel.models import keras_inference
from apparel.reporting import text
from apparel.runs import files, inputs
from apparel.runs.run_directory import RunDirectory


def main(parsed: Namespace) -> None:
    """Export, and print what was written."""
    exported = export_run(
        parsed.run,
        parsed.format,
        output=parsed.output,
        int8=parsed.int8,
        data_dir=parsed.data_dir,
    )
    print(f"Model saved to {exported.path}\n{text.export_lines(exported)}")


def export_run(
    path: Path,
    kind: str,
    *,
    output: Path | None = None,
    int8: bool = False,
    data_dir: Path | None = None,
) -> Exported:
    """Write the model of a run in another format, and record it in the run.

    Args:
        path: the directory of an earlier run.
        kind: a key of `model_formats.SUFFIXES`.
        output: where to; by default `model_formats.default_name`, in the run directory.
        int8: whether the layers compute in integers of eight bits.
        data_dir: folder with the data set's files.

    Raises:
        UsageError: `output` has the suffix of another format, or the format knows no int8.
        ModelFileError: the run or its model is broken.
        DataUnavailableError: the data set cannot be had.
        DataError: the data are not those of the run.
        ApparelError: the written file is not the same model, or a package is missing.
        OSError: a file cannot be written.
    """
    directory = RunDirectory.open(path, needs=files.WEIGHTS_FILE)
    output = output or directory.path / default_name(kind, int8=int8)
    if format_of(output) != kind:
        raise UsageError(
            f"the format {kind} needs a file that ends in {SUFFIXES[kind]}, not {output}."
        )
    exporting.check_precision(kind, int8=int8)
    record, accuracy = directory.settings(), None
    if (directory.path / files.METRICS_FILE).exists():
        n_images, overall, _ = files.read_accuracies(directory.path)
        accuracy = {**asdict(overall), "n": n_images}
    model = load_model(directory)
    splits = inputs.load_splits(directory, data_dir=data_dir)
    images, labels = keras_inference.comparison_images(splits)
    exported = exporting.export(
        model,
        output,
        images=images,
        labels=labels,
        class_names=tuple(record["class_names"]),
        metadata=metadata.run_facts(
            dataset=record["dataset"],
            settings=Settings(**record["settings"]),
            recipe=Recipe(**record["recipe"]),
            threshold=directory.calibration().threshold,
            accuracy=accuracy,
        ),
        novelty=files.read_novelty(directory.path) if kind == "onnx" else None,
        calibration=keras_inference.calibration_images(splits) if int8 else None,
        show_examples=record["dataset"]["source"] == FASHION_MNIST,
    )
    files.write_export(directory.path, exported)
    return exported
