"""A trial: hyperparameters trained for a short time, without the test images."""

import gc
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from apparel.core import backend
from apparel.core.backend import NumberFormat
from apparel.core.errors import DataError, ModelFileError, UsageError
from apparel.core.recipes import Plan, recipe_of
from apparel.core.records import Dataset, History, Splits
from apparel.core.settings import Settings
from apparel.core.signals import Terminated, signals_held
from apparel.data.arrays import one_hot, scale_pixels
from apparel.data.splits import split
from apparel.runs.files import read_history
from apparel.runs.folder import ENDED
from apparel.runs.run_directory import RunDirectory
from apparel.runs.search_folder import TRIALS
from apparel.training import budget, fit
from apparel.training.tuning.space import Networks, settings_for

# Takes the percentage of the trial's time and the validation accuracy; says whether to continue.
Report: TypeAlias = Callable[[float, float], bool]
METRIC = "val_accuracy"


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialImages:
    """The images of all trials.

    Attributes:
        splits: training and validation images; there are no test images.
        class_names: one name per class.
        source: name or path of the data set.
        data_dir: folder with the files of a named set; None for the usual places.
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
    """The result of a trial.

    Attributes:
        accuracy: validation accuracy at its end; None if it could not be trained.
        stopped: True if that was before its time.
        directory: its run directory.
        why: the reason why it could not be trained.
    """

    accuracy: float | None
    stopped: bool
    directory: Path
    why: str = ""

    def line(self, number: int) -> str:
        """Summarise the trial of a number in one line."""
        if self.accuracy is None:
            return f"trial {number}: not trained, since {self.why}"
        ended = "stopped early" if self.stopped else "trained to its end"
        return f"trial {number}: {self.accuracy:.2%} on the validation images, {ended}"


def trial_images(
    dataset: Dataset, settings: Settings, *, source: str, data_dir: str | None
) -> TrialImages:
    """Prepare the images of a data set for trials, without its test images.

    Args:
        dataset: to search on.
        settings: give the split seed and the share of the validation images.
        source: name or path of the data set.
        data_dir: folder with its files.

    Raises:
        DataError: there are too few images to hold some out.
    """
    images = scale_pixels(dataset.train_images)
    labels = one_hot(dataset.train_labels, dataset.n_classes)
    splits = split(
        images,
        labels,
        images[:0],
        labels[:0],
        settings=settings,
        manifest=dataset.origin,
        keys=dataset.train_keys,
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
    """All trials of a search.

    Attributes:
        folder: of the search.
        networks: that are tried.
        settings: give the budget of a trial, the seed, and everything about the images.
        images: for training and validation.
    """

    folder: Path
    networks: Networks
    settings: Settings
    images: TrialImages

    def run(self, number: int, parameters: Mapping[str, Any], report: Report) -> Outcome:
        """Train a trial, resume one that was interrupted, or read the result of a finished one.

        Args:
            number: of the trial.
            parameters: its hyperparameters.
            report: is called after each epoch but the last, and may stop the trial.

        Raises:
            ApparelError: a step failed, or another process is working on the trial.
            KeyboardInterrupt: Ctrl-C.
            Terminated: SIGTERM.
        """
        short, _ = self.networks[parameters["network"]]
        settings = settings_for(parameters, short, self.settings)
        directory = self._directory(number, parameters, settings)
        if not directory.can_resume:
            return _outcome(directory)
        with directory.lock():
            try:
                history = self._train(directory, settings, report)
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
                _free_graphs()
            if history.interrupted:
                raise KeyboardInterrupt
        return _outcome(directory)

    def _directory(
        self, number: int, parameters: Mapping[str, Any], settings: Settings
    ) -> RunDirectory:
        """The run directory of a trial, which may exist already.

        If a search that was killed forgot a trial, the next one of its number takes the next name.
        """
        trial = {"number": number, "parameters": dict(parameters)}
        place = number
        while (path := self.folder / TRIALS / f"{place:03d}").exists():
            directory = RunDirectory(path)
            if directory.read().get("trial") == trial:
                return directory
            place += 1
        request = {
            "settings": asdict(settings),
            "source": self.images.source,
            "data_dir": self.images.data_dir,
            "trial": trial,
        }
        return RunDirectory.create(path, name="trial", request=request)

    def _train(self, directory: RunDirectory, settings: Settings, report: Report) -> History:
        """Train to the end of the trial's time, or until its report stops it.

        Raises:
            DataError: training began with other images.
            ModelFileError: training began with a version of apparel that trains differently.
        """
        images, (_, provenance) = self.images, directory.provenance()
        if provenance:
            plan, number_format = provenance.plan, provenance.number_format
            provenance.check(recipe_of(settings, plan), images.splits.manifest)
        else:
            number_format = backend.choose_number_format(settings.dtype)
            plan = images.plan(settings, number_format)
            directory.write_settings(
                settings,
                recipe=recipe_of(settings, plan),
                plan=plan,
                number_format=number_format,
                dataset=images.splits.manifest,
                class_names=images.class_names,
                img_shape=images.img_shape,
            )
        stopped = False

        def watch(history: History, fraction: float) -> bool:
            nonlocal stopped
            directory.write_history(history)
            if fraction < 1:
                stopped = not report(100 * fraction, history.history[METRIC][-1])
            return not stopped

        history = fit.fit(
            fit.compiled_model(
                settings, n_classes=len(images.class_names), img_shape=images.img_shape
            ),
            images.splits,
            settings,
            number_format,
            plan=plan,
            checkpoints=directory.checkpoints(),
            watch=watch,
        )
        directory.write_history(history)
        if history.interrupted:
            directory.write_status("interrupted")
        else:
            directory.write_status("stopped" if stopped else "complete")
        return history


def _free_graphs() -> None:
    """Free the graph of some megabytes that each trial leaves, and that refers to itself.

    Python ignores exceptions of signal handlers while objects are destroyed; so signals wait.
    """
    with signals_held():
        backend.load_keras().backend.clear_session()
        gc.collect()


def _outcome(directory: RunDirectory) -> Outcome:
    """Read the result of a trial.

    Raises:
        ModelFileError: its files do not have one.
    """
    settings = directory.settings()
    if settings.get("status") not in ENDED:
        raise ModelFileError(
            f"{directory.path} does not say how the trial ended. Start the search again."
        )
    accuracies = read_history(directory.path, settings).history[METRIC]
    return Outcome(
        accuracy=accuracies[-1],
        stopped=settings["status"] == "stopped",
        directory=directory.path,
    )
