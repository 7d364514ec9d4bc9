"""A trial: a setting trained for a short time, in a run directory, without the test images."""

import gc
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from apparel.core import backend
from apparel.core.backend import NumberFormat
from apparel.core.errors import DataError, ModelFileError, UsageError
from apparel.core.image_array import ImageArray
from apparel.core.recipes import recipe_of
from apparel.core.records import Dataset, History, Splits
from apparel.core.settings import Plan, Settings
from apparel.core.signals import Terminated, signals_held
from apparel.data.arrays import one_hot, scale_pixels
from apparel.data.splits import split
from apparel.models import architectures
from apparel.runs.files import read_history
from apparel.runs.folder import ENDED
from apparel.runs.provenance import Provenance
from apparel.runs.run_directory import RunDirectory, Status
from apparel.runs.search_folder import TRIALS
from apparel.training import budget, fit
from apparel.training.tuning.space import Networks, trial_settings

# Takes the share of the trial's time in percent, and the validation accuracy; says whether to go
# on.
Report: TypeAlias = Callable[[float, float], bool]
MEASURE = "val_accuracy"


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialImages:
    """The images of all trials.

    Attributes:
        splits: to train and validate on; there are no test images.
        class_names: one name a class.
        source: of the images, as it was asked for.
        data_dir: where the files of a named set are; None for where they usually are.
    """

    splits: Splits
    class_names: tuple[str, ...]
    source: str
    data_dir: str | None

    @property
    def img_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image."""
        height, width, channels = self.splits.train_images.shape[1:]
        return height, width, channels

    def plan(self, settings: Settings, number_format: NumberFormat) -> Plan:
        """Measure this machine, and choose what the settings' budget buys.

        Raises:
            UsageError: the budget is used up before training could begin.
        """
        return budget.plan(
            settings,
            n_classes=len(self.class_names),
            img_shape=self.img_shape,
            n_training=len(self.splits.training),
            n_validation=len(self.splits.validation),
            number_format=number_format,
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended.

    Attributes:
        accuracy: on the validation images, at its end; None where it could not be trained.
        stopped: whether that was before its time.
        directory: its run directory.
        why: it could not be trained.
    """

    accuracy: float | None
    stopped: bool
    directory: Path
    why: str = ""

    def line(self, number: int) -> str:
        """A line for people, as the trial of a number."""
        if self.accuracy is None:
            return f"trial {number}: not trained, since {self.why}"
        ended = "stopped early" if self.stopped else "trained to its end"
        return f"trial {number}: {self.accuracy:.2%} on the validation images, {ended}"


def trial_images(
    dataset: Dataset, settings: Settings, *, source: str, data_dir: str | None
) -> TrialImages:
    """Make images ready for trials, those for testing left out.

    Args:
        dataset: that is searched on.
        settings: give the seed and the share of the validation images.
        source: what the user calls the data set.
        data_dir: where its files are.

    Raises:
        DataError: there are too few images to hold some out.
    """
    images = scale_pixels(dataset.train_images)
    labels = one_hot(dataset.train_labels, dataset.n_classes)
    no_images: ImageArray = images[:0]
    splits = split(
        images,
        labels,
        no_images,
        labels[:0],
        settings=settings,
        manifest=dataset.origin,
        validation=dataset.validation,
    )
    if not len(splits.validation):
        raise DataError(
            f"{source} has {len(images)} training images, too few to hold some out for "
            "validation, by which trials are compared. Give more images, or a larger --limit."
        )
    return TrialImages(
        splits=splits, class_names=dataset.class_names, source=source, data_dir=data_dir
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Trials:
    """What all trials of a search share.

    Attributes:
        folder: of the search.
        networks: that are tried.
        settings: give the budget of a trial, the seed, and what decides about the images.
        images: to train and validate on.
    """

    folder: Path
    networks: Networks
    settings: Settings
    images: TrialImages

    def run(self, number: int, parameters: Mapping[str, Any], report: Report) -> Outcome:
        """Train a trial, go on with one that was broken off, or say how one ended before.

        Args:
            number: of the trial.
            parameters: what was chosen for it.
            report: is told of each epoch but the last, and may stop the trial.

        Raises:
            ApparelError: a step failed, or another process is at work on the trial.
            KeyboardInterrupt: Ctrl-C.
            Terminated: SIGTERM.
        """
        settings = trial_settings(parameters, self.networks, self.settings)
        directory = _directory(self.folder, number, parameters, settings, self.images)
        if not directory.can_resume:
            return _outcome(directory)
        with directory.lock():
            try:
                history = _train(directory, settings, self.images, report)
            except UsageError as error:
                # Measuring the machine took all of the time, which other networks need not take.
                directory.write_status("failed")
                if number == 0:
                    raise
                return Outcome(
                    accuracy=None, stopped=True, directory=directory.path, why=str(error)
                )
            except BaseException as error:
                asked = isinstance(error, KeyboardInterrupt | Terminated)
                directory.write_status("interrupted" if asked else "failed")
                raise
            finally:
                _forget_graphs()
            if history.interrupted:
                raise KeyboardInterrupt
        return _outcome(directory)


def _forget_graphs() -> None:
    """Free the graph of some megabytes that each trial leaves, and that refers to itself.

    Python forgets what a signal raises while an object is taken apart; so signals wait.
    """
    with signals_held():
        backend.load_keras().backend.clear_session()
        gc.collect()


def _directory(
    search: Path,
    number: int,
    parameters: Mapping[str, Any],
    settings: Settings,
    images: TrialImages,
) -> RunDirectory:
    """The run directory of a trial, which may have begun before.

    Where a search that was killed forgot a trial, the one that has its number takes the next free
    name.
    """
    trial = {"number": number, "parameters": dict(parameters)}
    place = number
    while (path := search / TRIALS / f"{place:03d}").exists():
        directory = RunDirectory(path)
        if directory.read().get("trial") == trial:
            return directory
        place += 1
    request = {
        "settings": asdict(settings),
        "source": images.source,
        "data_dir": images.data_dir,
        "trial": trial,
    }
    return RunDirectory.create(path, name="trial", request=request)


def _train(
    directory: RunDirectory, settings: Settings, images: TrialImages, report: Report
) -> History:
    """Train to the end of the trial's time, or to where its report stops it."""
    splits = images.splits
    _, begun = directory.provenance()
    number_format = begun.number_format if begun else backend.choose_number_format(settings.dtype)
    plan = begun.plan if begun else images.plan(settings, number_format)
    model = architectures.create(
        settings.model_name,
        n_classes=len(images.class_names),
        img_shape=images.img_shape,
        seed=settings.seed,
        width=settings.width,
    )
    fit.compile_model(model, settings)
    _begin(directory, begun, images, settings=settings, plan=plan, number_format=number_format)
    stopped = False

    def watch(history: History, progress: float) -> bool:
        nonlocal stopped
        directory.write_history(history)
        if progress < 1:
            stopped = not report(100 * progress, history.history[MEASURE][-1])
        return not stopped

    history = fit.fit(
        model,
        splits,
        settings,
        number_format,
        plan=plan,
        checkpoints=directory.checkpoints(),
        watch=watch,
    )
    directory.write_history(history)
    ended: Status = "stopped" if stopped else "complete"
    directory.write_status("interrupted" if history.interrupted else ended)
    return history


def _begin(
    directory: RunDirectory,
    begun: Provenance | None,
    images: TrialImages,
    *,
    settings: Settings,
    plan: Plan | None,
    number_format: NumberFormat,
) -> None:
    """Record how training begins, or check that it can go on.

    Raises:
        DataError: the images are others.
        ModelFileError: another version of apparel began, which trains otherwise.
    """
    recipe = recipe_of(settings, plan)
    if begun:
        begun.check(recipe, images.splits.manifest)
        return
    directory.write_settings(
        settings,
        recipe=recipe,
        plan=plan,
        number_format=number_format,
        dataset=images.splits.manifest,
        class_names=images.class_names,
        img_shape=images.img_shape,
    )


def _outcome(directory: RunDirectory) -> Outcome:
    """Read how a trial ended.

    Raises:
        ModelFileError: its files do not say.
    """
    settings = directory.settings()
    if settings.get("status") not in ENDED:
        raise ModelFileError(
            f"{directory.path} does not say how the trial ended. Begin the search once more."
        )
    accuracies = read_history(directory.path, settings).history[MEASURE]
    return Outcome(
        accuracy=accuracies[-1],
        stopped=settings["status"] == "stopped",
        directory=directory.path,
    )
