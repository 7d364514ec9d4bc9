"""What the command does with a run: the whole course, and a later look."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from apparel.core import display
from apparel.core.atomic_files import check_writable, write_text
from apparel.core.errors import UsageError
from apparel.core.model_formats import ONNX_FILE
from apparel.core.records import Evaluation
from apparel.core.settings import Recipe, Settings
from apparel.core.signals import Terminated, termination_raised
from apparel.reporting import text
from apparel.runs import files, seed_folder
from apparel.runs.run_directory import RunDirectory

if TYPE_CHECKING:
    from apparel.classifier import ApparelClassifier, Workers
    from apparel.core.records import (
        DataCheck,
        Dataset,
        GroupComparison,
        LabelIssues,
        PairComparison,
        Robustness,
    )
    from apparel.scale.training import RayWorkers

SAMPLES = (0, 12, 42, 100)


def run(
    settings: Settings,
    directory: RunDirectory,
    *,
    source: str,
    data_dir: Path | None = None,
    save_path: Path | None = None,
    workers: "Workers | None" = None,
    part_of: Path | None = None,
) -> None:
    """Go all the steps, and leave a run directory that says how it ended.

    Args:
        settings: of the run.
        directory: an empty run directory.
        source: the name of the data set.
        data_dir: a folder with the data set's files.
        save_path: where to save the model as well.
        workers: what trains; None for this process alone.
        part_of: the folder of what the run belongs to, which is what would be resumed.

    Raises:
        ApparelError: a step failed; the run directory says "failed".
        KeyboardInterrupt: Ctrl-C; the run directory says "interrupted".
    """

    def begin() -> "ApparelClassifier":
        from apparel.classifier import ApparelClassifier  # noqa: PLC0415  # seconds

        classifier = ApparelClassifier(**asdict(settings), data_dir=data_dir, run_dir=directory)
        classifier.import_data(source).prepare_data().create_model().setup_model()
        classifier.run_training(workers=workers)
        return classifier

    _to_the_end(begin, directory, data_dir, save_path, part_of)


def resume(
    path: Path,
    *,
    source: str | None = None,
    data_dir: Path | None = None,
    address: str | None = None,
    part_of: Path | None = None,
) -> None:
    """Go on with a run that was broken off, wherever that was, to its end.

    Args:
        path: its run directory.
        source: where the images are, if not where they were.
        data_dir: a folder with the data set's files; by default the one that the run was given.
        address: of the cluster whose workers train, if not the one of before.
        part_of: as in `run`.

    Raises:
        ModelFileError: it is no run directory, or nothing can go on from what is there.
        ApparelError: a step failed, or another process is at work on it.
        KeyboardInterrupt: Ctrl-C; the run directory says "interrupted".
        Terminated: SIGTERM, likewise.
    """
    directory = RunDirectory.resume(path)
    asked = directory.request
    data_dir = data_dir or _path(asked.get("data_dir"))

    def go_on() -> "ApparelClassifier":
        from apparel.classifier import ApparelClassifier  # noqa: PLC0415  # seconds

        return ApparelClassifier.resume(
            directory, source=source, data_dir=data_dir, workers=workers
        )

    workers = workers_of(
        asked.get("workers"), address or asked.get("ray"), source or asked["source"], data_dir
    )
    _to_the_end(go_on, directory, data_dir, _path(asked.get("save")), part_of)


def complete(
    settings: Settings,
    path: Path,
    *,
    source: str,
    data_dir: Path | None,
    part_of: Path,
) -> None:
    """Run, or go on with a run that was broken off, unless it is complete.

    Args:
        settings: of the run.
        path: its folder.
        source: the name of the data set.
        data_dir: a folder with the data set's files.
        part_of: as in `run`.

    Raises:
        ApparelError: a step failed.
        KeyboardInterrupt: Ctrl-C; the run directory says "interrupted".
        Terminated: SIGTERM, likewise.
    """
    earlier = RunDirectory(path)
    if earlier.is_complete:
        return
    if earlier.can_resume:
        resume(path, source=source, data_dir=data_dir, part_of=part_of)
        return
    asked = request(settings, source=source, data_dir=data_dir, save_path=None)
    directory = RunDirectory.create(path, name=settings.model_name, request=asked)
    run(settings, directory, source=source, data_dir=data_dir, part_of=part_of)


def workers_of(
    n_workers: int | None, address: str | None, source: str, data_dir: Path | None
) -> "RayWorkers | None":
    """What trains a run, where it is not this process alone."""
    if n_workers is None or address is None:
        return None
    from apparel.scale.training import RayWorkers  # noqa: PLC0415  # for these runs only

    return RayWorkers(n_workers, address, source, data_dir)


def request(
    settings: Settings,
    *,
    source: str,
    data_dir: Path | None,
    save_path: Path | None,
    workers: "RayWorkers | None" = None,
) -> dict[str, object]:
    """What a run directory records of what is asked for, before anything is done."""
    return {
        "settings": asdict(settings),
        "source": source,
        "data_dir": str(data_dir) if data_dir else None,
        "save": str(save_path) if save_path else None,
        "workers": workers.n_workers if workers else None,
        "ray": workers.address if workers else None,
    }


def _path(name: object) -> Path | None:
    """A path that a run directory has recorded."""
    return Path(str(name)) if name else None


def _to_the_end(
    train: "Callable[[], ApparelClassifier]",
    directory: RunDirectory,
    data_dir: Path | None,
    save_path: Path | None,
    part_of: Path | None,
) -> None:
    """Train or go on, do what follows, and leave a run directory that says how it ended."""
    with directory.lock(), termination_raised():
        try:
            _after_training(train(), directory, data_dir, save_path)
        except BaseException as error:
            with suppress(OSError):  # a full disk must not hide what went wrong
                stopped = isinstance(error, KeyboardInterrupt | Terminated)
                directory.write_status("interrupted" if stopped else "failed")
            if directory.can_resume and part_of is None:
                print(f"Go on with: apparel resume {directory.path}", file=sys.stderr)
            raise
        directory.write_status("complete")
    if part_of is None:
        display.wait_for_windows()


def _after_training(
    classifier: "ApparelClassifier",
    directory: RunDirectory,
    data_dir: Path | None,
    save_path: Path | None,
) -> None:
    """Every step that follows training, in order."""
    evaluation = classifier.test_model()
    classifier.explain_results()
    n_images = len(evaluation.true)
    classifier.visualize_predictions([index for index in SAMPLES if index < n_images])
    classifier.show_mistakes()
    classifier.export_model(directory.path / ONNX_FILE)
    write_report(directory.path, data_dir=data_dir)
    if save_path:
        classifier.export_model(save_path)
    print(f"\nTest result on {n_images:,} images\n{text.metric_lines(evaluation)}")
    print(f"SHA-256 of the weights  {directory.settings()['weights_sha256']}")
    print(f"Run directory: {directory.path}")


def write_report(path: Path, *, data_dir: Path | None = None) -> Path:
    """Write `report.html` and the model card, `README.md`, from what a run left behind.

    Args:
        path: the directory of a run that was tested.
        data_dir: a folder with the data set's files.

    Returns:
        The path of the report.

    Raises:
        ModelFileError: the run is not finished, or a file of it is broken.
        DataUnavailableError: the data set cannot be had.
        OSError: the run directory cannot be written.
    """
    from apparel.cli import gather  # noqa: PLC0415  # seconds
    from apparel.reporting import html  # noqa: PLC0415  # seconds

    directory = RunDirectory.open(path)
    content = gather.load_report(directory, data_dir)
    directory.write_text("report.html", html.html(content))
    directory.write_text("README.md", html.model_card(content))
    return directory.path / "report.html"


def evaluate_run(
    path: Path, *, source: str | None = None, data_dir: Path | None = None
) -> Evaluation:
    """Score the saved model of a run on its test set once more.

    Args:
        path: the directory of an earlier run.
        source: another data set than the run's.
        data_dir: a folder with the data set's files.

    Raises:
        ModelFileError: the run or its model is broken, or the data do not fit it.
        DataUnavailableError: the data set cannot be had.
        OSError: the run directory cannot be written, where looks at the test images are counted.
    """
    from apparel.cli import gather  # noqa: PLC0415  # seconds
    from apparel.data import arrays  # noqa: PLC0415  # seconds
    from apparel.data.sources import fashion_mnist  # noqa: PLC0415  # seconds
    from apparel.evaluation import metrics  # noqa: PLC0415  # seconds
    from apparel.models import keras_inference  # noqa: PLC0415  # seconds

    directory = RunDirectory.open(path)
    record = directory.settings()
    model, dataset = gather.load_run(directory, source=source, data_dir=data_dir)
    images = arrays.scale_pixels(dataset.test_images)
    probabilities = keras_inference.predict_probabilities(model, images)
    recipe = Recipe(**record["recipe"])
    averaged = keras_inference.predict_averaged(model, images, probabilities, recipe)
    evaluation = metrics.evaluate(
        probabilities,
        dataset.test_labels,
        dataset.class_names,
        averaged=averaged,
        calibration=directory.calibration(),
        imbalanced=record["dataset"].get("class_weights") is not None,
    )
    highest = fashion_mnist.highest_credible_accuracy(dataset.class_names)
    print(text.too_good_line(evaluation, highest), end="")
    _count_look(directory, dataset)
    return evaluation


def _count_look(directory: RunDirectory, dataset: "Dataset") -> None:
    """Record that the run's own test images were scored once more, and say so."""
    if dataset.test_sha256 == directory.settings()["dataset"].get("test_sha256"):
        print(text.looks_line(directory.count_test_look()), end="")


def stress_run(path: Path, *, data_dir: Path | None = None) -> "Robustness":
    """Score the saved model of a run on test images made worse, and record it in the run.

    Args:
        path: the directory of an earlier run.
        data_dir: a folder with the data set's files.

    Raises:
        ModelFileError: the run or its model is broken, or the data do not fit it.
        DataUnavailableError: the data set cannot be had.
        OSError: the run directory cannot be written.
    """
    from apparel.cli import gather  # noqa: PLC0415  # seconds
    from apparel.data import arrays  # noqa: PLC0415  # seconds
    from apparel.evaluation.robustness import measure_robustness  # noqa: PLC0415  # seconds
    from apparel.models import architectures, keras_inference  # noqa: PLC0415  # seconds
    from apparel.reporting import plots  # noqa: PLC0415  # seconds

    directory = RunDirectory.open(path)
    model, dataset = gather.load_run(directory, source=None, data_dir=data_dir)
    robustness = measure_robustness(
        lambda images: keras_inference.predict_probabilities(model, images),
        architectures.logits_model(model),
        arrays.scale_pixels(dataset.test_images),
        dataset.test_labels,
        seed=directory.settings()["settings"]["seed"],
    )
    directory.write_robustness(robustness)
    directory.write_figure("robustness", plots.robustness_figure(robustness))
    _count_look(directory, dataset)
    print(f"Report: {write_report(path, data_dir=data_dir)}")
    return robustness


def find_suspects(path: Path, *, data_dir: Path | None = None) -> "list[LabelIssues]":
    """Find labels of a run's images that are probably wrong, and list them in the run.

    Args:
        path: the directory of an earlier run.
        data_dir: a folder with the data set's files.

    Returns:
        Those of the training images, then those of the test images.

    Raises:
        ModelFileError: the folder is no run.
        DataUnavailableError: the data set cannot be had.
        DataError: a class has too few training images.
        OSError: the run directory cannot be written.
    """
    from apparel.core import backend  # noqa: PLC0415  # seconds
    from apparel.evaluation import label_issues  # noqa: PLC0415  # seconds
    from apparel.reporting import plots  # noqa: PLC0415  # seconds
    from apparel.runs import inputs  # noqa: PLC0415  # seconds
    from apparel.training import cross_validation  # noqa: PLC0415  # seconds

    directory = RunDirectory.open(path)
    dataset = inputs.load_data(directory, source=None, data_dir=data_dir)
    chosen = Settings(**directory.settings()["settings"])
    said = cross_validation.cross_validate(
        dataset,
        Settings(model_name="fast", seed=chosen.seed, dtype=chosen.dtype, flip=chosen.flip),
        backend.choose_number_format(chosen.dtype),
    )
    names = dataset.class_names
    found = [
        label_issues.find(said.train, dataset.train_labels, names, split="train"),
        label_issues.find(said.test, dataset.test_labels, names, split="test"),
    ]
    for of_split, images in zip(found, (dataset.train_images, dataset.test_images), strict=True):
        figure = plots.suspects_figure(of_split, images)
        print(f"Written: {directory.write_suspects(of_split)}")
        print(f"Written: {directory.write_figure(f'suspects_{of_split.split}', figure)}")
    print(f"Report: {write_report(path, data_dir=data_dir)}")
    return found


def check_source(
    source: str,
    settings: Settings,
    *,
    output: Path,
    table: Path | None = None,
    data_dir: Path | None = None,
) -> "DataCheck":
    """Check a data set, say what was found and list all of it in a file.

    Args:
        source: the name or path of the data set.
        settings: decides which images of it are taken.
        output: the file, which ends in .json.
        table: a new file to list the images in that are left without what spoils the data.
        data_dir: a folder with the data set's files.

    Raises:
        UsageError: there is no such source, a file may not be written, or there is to be a table
            of images that are not in files of their own.
        DataUnavailableError: the named set cannot be had.
        DataError: the source is no labelled set of images, or a class would have none left.
        OSError: a file cannot be written.
    """
    from apparel.data import image_table, loading  # noqa: PLC0415  # --help has no time
    from apparel.data.quality import check  # noqa: PLC0415  # --help has no time

    if output.suffix != ".json":
        raise UsageError(f"what is found is written as .json, not to {output}. Name such a file.")
    check_writable(output)
    if table:
        image_table.check_place(table, source)
        check_writable(table)
    dataset = loading.load(source, data_dir=data_dir, **settings.of_data)
    if table:
        image_table.need_image_files(dataset)
    found = check.check_all(dataset)
    print(text.check_lines(found))
    write_text(output, files.check_json(found))
    print(f"Written: {output}")
    if table:
        write_text(table, image_table.cleaned_table(dataset, found, table))
        print(f"Written: {table}")
    return found


def compare_runs(paths: Sequence[Path]) -> "list[PairComparison | GroupComparison]":
    """Compare what the models of several runs said of the same test images.

    Args:
        paths: their directories; a folder of runs with several seeds stands for all of them.

    Raises:
        ModelFileError: a folder holds no finished run.
        DataError: they were tested on different images.
        UsageError: there are fewer than two, or one run is to be compared with several.
    """
    from apparel.evaluation import comparison  # noqa: PLC0415  # loads SciPy

    each = [run for path in paths for run in seed_folder.runs_in(path)]
    return comparison.compare([RunDirectory.open(path).tested() for path in each])
