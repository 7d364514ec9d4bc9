"""`apparel predict`: images by name → rows on the terminal, a file, explanations."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apparel.core.errors import DataError, UsageError
from apparel.core.records import Answer, FailedImage, Prediction
from apparel.core.validation import checked_share, whole_number
from apparel.data.inputs.shards import find_shards, images_of
from apparel.data.parquet.process import ParquetProcess
from apparel.predict.predictor import Predictor, load
from apparel.reporting import text

if TYPE_CHECKING:
    from apparel.predict.explanation_images import ExplanationFiles

# Images of an array that are answered, and told of, at once.
AT_ONCE = 1024
PART = "fashion-mnist:"


def main(parsed: Namespace) -> int:
    """Classify images, here or on a cluster, and say in the exit code whether all were read."""
    if parsed.ray is None:
        n_failed = predict_files(
            parsed.model,
            parsed.images,
            raw=parsed.raw,
            exact=parsed.exact,
            top=parsed.top_k,
            threshold=parsed.threshold,
            output=parsed.output and Path(parsed.output),
            explain=parsed.explain,
            data_dir=parsed.data_dir,
        )
    else:
        if parsed.explain:
            raise UsageError("--explain makes pictures on this machine. Leave it or --ray out.")
        from apparel.scale.predict import predict_at_scale  # noqa: PLC0415  # for --ray only

        n_failed = predict_at_scale(
            parsed.model,
            parsed.images,
            address=parsed.ray,
            output=parsed.output,
            raw=parsed.raw,
            exact=parsed.exact,
        )
    return DataError.exit_code if n_failed else 0


def predict_files(
    model: Path,
    paths: Sequence[str],
    *,
    raw: bool = False,
    exact: bool = False,
    top: int = 1,
    threshold: float | None = None,
    output: Path | None = None,
    explain: Path | None = None,
    data_dir: Path | None = None,
) -> int:
    """Classify images, and print what each shows or write it to a file.

    Args:
        model: an `.onnx` file, or a run directory.
        paths: as `shards.find_shards` takes them, or parts of Fashion-MNIST
            as `data.sources.fashion_mnist.load_part` names them.
        raw: take photos as they are, resized as a whole.
        exact: compute in float32, even where bfloat16 is faster.
        top: how many classes to name.
        threshold: the confidence below which the answer is marked as not sure; None for the one
            that was chosen on validation images, if there is one.
        output: a file to write, which ends in .csv, .jsonl or .parquet; then only what could
            not be read is printed.
        explain: a folder for a picture of each image with what mattered for the answer.
        data_dir: a folder with Fashion-MNIST's files.

    Returns:
        How many images could not be read.

    Raises:
        ModelFileError: the model file is missing, broken, unsafe or foreign.
        DataError: there is no such file or folder, a table is damaged, or the model takes no such
            images.
        DataUnavailableError: a storage refuses.
        UsageError: the name of the output tells no format, or a number makes no sense.
    """
    top = whole_number("--top-k", top, minimum=1)
    if threshold is not None:
        checked_share("--threshold", threshold, "Give a confidence, for example 0.9.")
    if output:
        from apparel.core.atomic_files import check_writable  # noqa: PLC0415  # for --output only
        from apparel.predict import writers  # noqa: PLC0415  # likewise

        writers.check_suffix(output)
        check_writable(output)
    predictor = load(model, exact=exact)
    explained = _explanation_files(explain) if explain else None
    names, has_novelty = predictor.class_names, predictor.tells_novelty
    writing = writers.writing(output, names, has_novelty=has_novelty) if output else nullcontext()
    notes = text.PredictionNotes()
    sure_from = (predictor.threshold or 0) if threshold is None else threshold
    with ParquetProcess() as rows:
        groups = [
            _of_fashion_mnist(list(group), predictor, data_dir)
            if is_named
            else _of_sources(list(group), predictor, rows, raw=raw)
            for is_named, group in groupby(paths, lambda path: path.startswith(PART))
        ]
        with writing as write:
            for answers in chain.from_iterable(groups):
                notes.add(answers)
                if explained:
                    _explain(answers, predictor, explained)
                if write:
                    write(answers)
                shown = [a for a in answers if isinstance(a, FailedImage)] if output else answers
                if shown:
                    print(text.prediction_rows(shown, top=top, threshold=sure_from))
    if output:
        print(f"Written: {output}, {notes.n_images:,} images")
    if explained:
        print(f"Written: {explain}, {explained.n_written:,} explanations")
    if notes.lines():
        print(notes.lines())
    return notes.n_failed


def _of_sources(
    paths: Sequence[str], predictor: Predictor, rows: ParquetProcess, *, raw: bool
) -> Iterator[list[Answer]]:
    """Classify files, and rows of tables, in the parts that a cluster would work on.

    Raises:
        DataError: as in `predict_files`.
        DataUnavailableError: as in `predict_files`.
    """
    parts = find_shards(paths, rows)
    return predictor.predict_parts((images_of(part, rows) for part in parts), raw=raw)


def _of_fashion_mnist(
    names: Sequence[str], predictor: Predictor, data_dir: Path | None
) -> Iterator[list[Answer]]:
    """Classify parts of Fashion-MNIST.

    Raises:
        DataError: there is no such part, or the model takes images of another shape.
        DataUnavailableError: the data set cannot be had.
    """
    from apparel.data.sources.fashion_mnist import load_part  # noqa: PLC0415  # for these images only

    loaded = [load_part(name, data_dir) for name in names]
    if (shape := loaded[0][1].shape[1:]) != predictor.img_shape:
        raise DataError(
            f"{names[0]} has images of {' x '.join(map(str, shape))}, but the model takes "
            f"{' x '.join(map(str, predictor.img_shape))}. Use a model for such images."
        )
    return (
        list(predictor.describe(images[i : i + AT_ONCE], called[i : i + AT_ONCE]))
        for called, images in loaded
        for i in range(0, len(images), AT_ONCE)
    )


def _explanation_files(folder: Path) -> "ExplanationFiles":
    from apparel.predict.explanation_images import ExplanationFiles  # noqa: PLC0415  # for --explain

    return ExplanationFiles(folder)


def _explain(
    answers: Sequence[Answer], predictor: Predictor, explained: "ExplanationFiles"
) -> None:
    """Write a picture of each image that was read."""
    for answer in answers:
        if isinstance(answer, Prediction) and answer.image is not None:
            explained.write(answer, predictor.explain(np.asarray(answer.image, np.uint8)[None])[0])
