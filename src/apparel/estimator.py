"""Train and predict on arrays, as scikit-learn's estimators do."""

import os
from collections.abc import Callable
from dataclasses import fields, replace
from inspect import Parameter, Signature, signature
from typing import Any, ParamSpec, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from apparel.core import backend
from apparel.core.backend import NumberFormat
from apparel.core.errors import StepOrderError
from apparel.core.image_array import ImageArray
from apparel.core.recipes import recipe_of
from apparel.core.records import (
    ARRAYS,
    Calibration,
    DataCheck,
    Dataset,
    Evaluation,
    History,
    ImageList,
    Novelty,
    Splits,
)
from apparel.core.settings import Plan, Settings, options
from apparel.data.sources import fashion_mnist
from apparel.data.splits import as_unit_images, encode_labels, image_shape, one_hot, split
from apparel.evaluation import calibration
from apparel.models import architectures, keras_inference
from apparel.runs.checkpoints import CheckpointFolder
from apparel.runs.provenance import Begun
from apparel.runs.run_directory import RunDirectory
from apparel.training import budget
from apparel.training import fit as fit_module

P = ParamSpec("P")
T = TypeVar("T")


class Workers(Protocol):
    """Several processes that train a run, and leave its checkpoints."""

    def train(self, directory: RunDirectory) -> None:
        """Train to the end."""


# Fashion-MNIST's.
N_CLASSES, IMG_SHAPE = 10, (28, 28, 1)


def _with_settings(init: Callable[P, None]) -> Callable[P, None]:
    """List the settings among a constructor's arguments, where scikit-learn and `help` look."""
    *named, data_dir, run_dir, _ = signature(init).parameters.values()
    settings = [
        Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        for each in fields(Settings)
    ]
    init.__signature__ = Signature([*named, *settings, data_dir, run_dir])  # type: ignore[attr-defined]  # of any function
    lines = (f"    {name}: {option.help}." for name, option, _ in options())
    init.__doc__ = "\n".join(["Settings, all of them keyword-only:", "", *lines])
    return init


class ArrayClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn publishes no types
    """The arguments, the state and the scikit-learn side of `ApparelClassifier`."""

    @_with_settings
    def __init__(
        self,
        n_classes: int = N_CLASSES,
        img_shape: tuple[int, int, int] = IMG_SHAPE,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        run_dir: str | os.PathLike[str] | RunDirectory | None = None,
        **settings: Any,
    ) -> None:
        defaults = {name: default for name, _, default in options()}
        if unknown := sorted(settings.keys() - defaults.keys()):
            raise TypeError(
                f"ApparelClassifier() got an unexpected keyword argument {unknown[0]!r}"
            )
        # scikit-learn clones estimators by these attributes: they stay as they were given.
        self.n_classes = n_classes
        self.img_shape = img_shape
        self.data_dir = data_dir
        self.run_dir = run_dir
        for name, value in (defaults | settings).items():
            setattr(self, name, value)

        self.labels: list[str] = _default_labels(n_classes)
        self.model: Any = None
        self.training_logs: History | None = None
        self.train_images: ImageArray | None = None
        self.train_labels: NDArray[Any] | None = None
        self.test_images: ImageArray | None = None
        self.test_labels: NDArray[Any] | None = None
        self.orig_test_labels: NDArray[np.int64] | None = None
        self.data_check: DataCheck | None = None
        self.calibration: Calibration | None = None
        self.evaluation: Evaluation | None = None
        # What earlier data had, so that nobody asked for it.
        self._followed: dict[str, object] = {}
        # What was imported, and the arrays that it became.
        self._dataset: tuple[Dataset, tuple[Any, ...]] | None = None
        # What the source sets aside, and the prepared images that it is of.
        self._validation: tuple[NDArray[np.int64] | None, ImageArray | None] = (None, None)
        # The files of these images, where they are in some.
        self._image_list: ImageList | None = None
        self._manifest: dict[str, object] = {}
        self._splits: Splits | None = None
        # How it was trained on `_splits`; a step may have been given other epochs than this object.
        self._trained_with: Settings | None = None
        # What the images of `_splits` look like, once somebody asked.
        self._novelty: Novelty | None = None
        self._plan: Plan | None = None
        self._run: RunDirectory | None = None
        # How a training was begun that another process broke off.
        self._begun: Begun | None = None
        # What trains a run, if not this process alone.
        self._workers: Workers | None = None

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803  # scikit-learn's name
        """Train on arrays, with a tenth held out for validation.

        The images of the steps are dropped; `limit`, `data_dir` and `run_dir` play no part.

        Args:
            X: images, shape (n, h, w), (n, h, w, c) or (n, h·w·c); whole numbers of 0-255
                or floats of 0-1. A flat array has the shape that `img_shape` says.
            y: shape (n,), labels of any kind; their sorted values become `classes_`.

        Raises:
            UsageError: a setting makes no sense.
            DataError: X or y cannot be trained on.
            KeyboardInterrupt: Ctrl-C. What was trained so far is in `model`.
        """
        self._plan = None
        settings = self._settings()
        img_shape = image_shape(X, self.img_shape)
        images = as_unit_images(X, img_shape)
        classes, labels = encode_labels(y, n_images=len(images))
        rows = one_hot(labels, len(classes))
        splits = split(
            images, rows, images[:0], rows[:0], settings=settings, manifest={"source": ARRAYS}
        )
        self.model = self._new_model(len(classes), img_shape, n_images=len(images))
        settings = self._settings()
        fit_module.compile_model(self.model, settings)
        self._forget_training()
        self.train_images = self.train_labels = self.test_images = self.test_labels = None
        self.orig_test_labels = None
        self.labels = [str(name) for name in classes]
        history = self._train(splits, settings, backend.choose_number_format(settings.dtype))
        self.classes_ = classes
        if history.interrupted:
            raise KeyboardInterrupt
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803  # scikit-learn's name
        """Give every image's class probabilities.

        Args:
            X: images as in `fit`.

        Returns:
            Shape (n, k), in the order of `classes_`; rows sum to 1.

        Raises:
            StepOrderError: nothing was trained.
            DataError: X does not fit the model.
        """
        need(self.training_logs, "predict_proba", "fit() or run_training")
        images = as_unit_images(X, self.model.input_shape[1:])
        return keras_inference.predict_probabilities(self.model, images)

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803  # scikit-learn's name
        """Give every image's most probable class.

        Args:
            X: images as in `fit`.

        Returns:
            Shape (n,), values of `classes_`.

        Raises:
            StepOrderError: nothing was trained.
            DataError: X does not fit the model.
        """
        need(self.training_logs, "predict", "fit() or run_training")
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def _settings(self) -> Settings:
        """The constructor's arguments, checked, and what was chosen for a budget."""
        settings = Settings(**{name: getattr(self, name) for name, *_ in options()})
        if self._plan is None:
            return settings
        return replace(settings, model_name=self._plan.model_name, width=self._plan.width)

    def _new_model(self, n_classes: int, img_shape: tuple[int, int, int], *, n_images: int) -> Any:
        """Choose a model, for the budget if there is one, and build it.

        Raises:
            UsageError: the model is unknown, or a setting makes no sense.
            DataError: the images are too small for the model.
        """
        self._plan = self._begun.plan if self._begun else None
        settings = self._settings()
        if settings.budget is not None and self._plan is None:
            held_out = round(settings.validation_split * n_images)
            self._plan = budget.plan(
                settings,
                n_classes=n_classes,
                img_shape=img_shape,
                n_training=n_images - held_out,
                n_validation=held_out,
                number_format=backend.choose_number_format(settings.dtype),
            )
            settings = self._settings()
            print(f"Budget of {settings.budget:.0f} s: {self._plan}")
        recipe = recipe_of(settings)
        return architectures.create(
            recipe.model_name,
            n_classes=n_classes,
            img_shape=img_shape,
            seed=settings.seed,
            width=recipe.width,
        )

    def _number_format(self) -> NumberFormat:
        """That of training: what was chosen when it began, or what suits this machine."""
        if self._begun:
            return self._begun.number_format
        return backend.choose_number_format(self._settings().dtype)

    def _train(
        self,
        splits: Splits,
        settings: Settings,
        number_format: NumberFormat,
        checkpoints: CheckpointFolder | None = None,
    ) -> History:
        """Train and calibrate the model, and keep what came of it."""
        self.evaluation = None
        self._replace_model(architectures.uncalibrated(self.model), settings)
        self.training_logs = fit_module.fit(
            self.model,
            splits,
            settings,
            number_format,
            plan=self._plan,
            checkpoints=checkpoints,
        )
        self._splits, self._novelty, self._trained_with = splits, None, settings
        self.calibration = calibration.fit(
            *keras_inference.predict_validation(self.model, splits),
            target_accuracy=settings.target_accuracy,
            smoothed=recipe_of(settings, self._plan).label_smoothing > 0,
        )
        self._replace_model(architectures.calibrated(self.model, self.calibration), settings)
        return self.training_logs

    def _replace_model(self, model: Any, settings: Settings) -> None:
        """Take a model with another end, compiled like the one before."""
        if model is not self.model:
            fit_module.compile_model(model, settings)
            self.model = model

    def _forget_training(self) -> None:
        """Drop what an earlier model's training and test left."""
        self.training_logs = self.calibration = self.evaluation = None
        self._splits = self._novelty = None

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Stay one line in a notebook, where scikit-learn would draw a diagram."""
        return {"text/plain": repr(self)}


def need(value: T | None, step: str, first: str) -> T:
    """Give `value`, or stop a step that comes too early.

    Raises:
        StepOrderError: the value is None or False.
    """
    if value is None or value is False:
        raise StepOrderError(f"{step}() was called too early. Call {first}() first.")
    return value


def _default_labels(n_classes: int) -> list[str]:
    """Fashion-MNIST's class names where their number fits, else numbers."""
    if n_classes == len(fashion_mnist.FASHION_MNIST_LABELS):
        return list(fashion_mnist.FASHION_MNIST_LABELS)
    return [str(k) for k in range(n_classes)] if isinstance(n_classes, int) else []
