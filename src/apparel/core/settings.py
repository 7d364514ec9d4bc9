"""What a user decides about a run, what a recipe adds, and what a budget buys: frozen, checked.

Foundations: free of NumPy, so that the command's `--help` stays quick.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from apparel.core.errors import UsageError
from apparel.core.validation import (
    checked_positive,
    checked_seed,
    checked_share,
    real_number,
    whole_number,
)

Dtype: TypeAlias = Literal["auto", "float32", "mixed_bfloat16"]

DTYPES = ("auto", "float32", "mixed_bfloat16")
# A batch is moved in a step for each place, and these are (2 * shift + 1) squared.
MOST_SHIFT = 8


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a user decides about a run. None leaves a choice to the model's recipe.

    Attributes:
        model_name: the architecture, one of `models.architectures`, or "auto": with a
            budget, what fits it best; without one it becomes "cnn".
        width: channels of the model's first stage, at least 1.
        epochs: passes over the training images, at least 1.
        budget: seconds that training may take, above 0; None for as long as `epochs` takes.
        patience: stop after so many epochs without a higher validation accuracy, at least 1,
            and keep the weights of the best epoch; None trains to the end.
        batch_size: images in one training step, at least 1.
        seed: of everything random, 0 to 2**32 - 1.
        dtype: the number format of training; "auto" chooses for the processor.
        validation_split: the share of the training images held out, in (0, 1).
        learning_rate: the optimiser's largest step size, above 0.
        weight_averaging: the share of training, at its end, over which weights are averaged,
            in [0, 1]; 0 keeps the weights of the last step.
        label_smoothing: the share of each label that is spread evenly over all classes, in [0, 1).
        flip: whether mirrored images are trained on as well.
        shift: images move by at most so many pixels each way, 0 to 8.
        erase: the share of the images of which a rectangle is filled with noise, in [0, 1].
        target_accuracy: of the images that the model is to answer once it leaves out those that
            it is not sure of, in [0, 1].
        limit: at most so many images of each split, or None for all.
        test_split: the share of every class that is drawn for testing where the data have no test
            images, in (0, 1).
        image_size: height and width that images in files are brought to, at least 1; None for
            what fits them.
        max_bad: the share of the files that may be unreadable, in [0, 1].
        keep_leaks: train also on images that are among the test images as well.
        checkpoint_every: seconds between two checkpoints within an epoch, above 0; None for one
            at the end of each epoch only.
    """

    model_name: str = "auto"
    width: int | None = None
    epochs: int | None = None
    budget: float | None = None
    patience: int | None = None
    batch_size: int | None = None
    seed: int = 0
    dtype: Dtype = "auto"
    validation_split: float = 0.1
    learning_rate: float | None = None
    weight_averaging: float | None = None
    label_smoothing: float | None = None
    flip: bool | None = None
    shift: int | None = None
    erase: float | None = None
    target_accuracy: float = 0.97
    limit: int | None = None
    test_split: float = 0.2
    image_size: int | None = None
    max_bad: float = 0.05
    keep_leaks: bool = False
    checkpoint_every: float | None = None

    def __post_init__(self) -> None:
        """Check every value once, early.

        Raises:
            UsageError: a value is outside its range, or two contradict each other.
        """
        for name in ("width", "epochs", "patience", "batch_size", "limit", "image_size"):
            self._check(name, lambda n, v: whole_number(n, v, minimum=1))
        object.__setattr__(self, "seed", checked_seed(self.seed))
        if self.dtype not in DTYPES:
            raise UsageError(
                f"dtype must be one of {', '.join(DTYPES)}, but is {self.dtype!r}. Choose one."
            )
        for name in ("validation_split", "test_split"):
            self._check(name, real_number)
            if not 0 < getattr(self, name) < 1:
                raise UsageError(
                    f"{name} must lie between 0 and 1, both excluded, but is "
                    f"{getattr(self, name)!r}. 0.1 holds out a tenth."
                )
        self._check(
            "max_bad", lambda n, v: checked_share(n, v, "0.05 allows one file in twenty to be bad.")
        )
        self._check("budget", lambda n, v: checked_positive(n, v, "600 is ten minutes."))
        self._check("checkpoint_every", lambda n, v: checked_positive(n, v, "30 is half a minute."))
        self._check("learning_rate", lambda n, v: checked_positive(n, v, "0.001 is usual."))
        self._check(
            "weight_averaging",
            lambda n, v: checked_share(
                n, v, "0.1 averages the last tenth of the steps, 0 averages nothing."
            ),
        )
        self._check_regularisation()
        self._check(
            "target_accuracy",
            lambda n, v: checked_share(n, v, "0.97 answers where 97 % of the answers are right."),
        )
        self._check_together()
        if self.model_name == "auto" and self.budget is None:
            object.__setattr__(self, "model_name", "cnn")

    @property
    def of_data(self) -> dict[str, Any]:
        """What decides which images are taken, as `data.load` names it."""
        names = ("limit", "seed", "test_split", "image_size", "max_bad")
        return {name: getattr(self, name) for name in names}

    def _check(self, name: str, check: Callable[[str, object], object]) -> None:
        """Check a value that is given, and keep it as the check returns it."""
        if getattr(self, name) is not None:
            object.__setattr__(self, name, check(name, getattr(self, name)))

    def _check_regularisation(self) -> None:
        """Check what keeps a model from learning its images by heart.

        Raises:
            UsageError: a value is outside its range.
        """
        self._check(
            "label_smoothing", lambda n, v: checked_share(n, v, "0.1 spreads a tenth of a label.")
        )
        if self.label_smoothing == 1:
            raise UsageError(
                "label_smoothing must be below 1, but is 1.0: no label would say anything. 0.1 "
                "spreads a tenth of a label."
            )
        self._check("shift", lambda n, v: whole_number(n, v, minimum=0))
        if self.shift is not None and self.shift > MOST_SHIFT:
            raise UsageError(
                f"shift must be at most {MOST_SHIFT} pixels, but is {self.shift}. 1 is usual."
            )
        self._check("erase", lambda n, v: checked_share(n, v, "0.5 erases a part of every other."))

    def _check_together(self) -> None:
        """Check the values that exclude each other.

        Raises:
            UsageError: two contradict each other.
        """
        if self.budget is not None and self.epochs is not None:
            raise UsageError(
                "epochs and budget were both given, but each decides how long training takes. "
                "Leave one out."
            )
        if self.patience is not None and self.weight_averaging:
            raise UsageError(
                "patience keeps the weights of one epoch and weight_averaging the mean of many. "
                "Leave one out."
            )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is built and trained: every choice made.

    Attributes:
        model_name: the architecture.
        width: channels of the model's first stage; None where the model has one size.
        epochs: passes over the training images.
        batch_size: images in one training step.
        optimizer: "adam", or "muon" for the convolutions with Adam for all else.
        learning_rate: the largest step size.
        schedule: "constant", or "triangular": up to `learning_rate` in the first tenth of
            training and down to 0 at its end, each in a straight line.
        label_smoothing: the share of each label spread evenly over all classes, in [0, 1).
        weight_averaging: the share of training, at its end, over which weights are averaged.
        patience: epochs to wait for a higher validation accuracy; None trains to the end.
        prune: the share of the easy images that each pass over them leaves out, in [0, 1).
        flip: whether images are mirrored, each in every other pass.
        shift: images move by at most so many pixels each way.
        erase: the share of the images of which a rectangle is filled with noise, in [0, 1].
    """

    model_name: str
    width: int | None
    epochs: int
    batch_size: int
    optimizer: Literal["adam", "muon"]
    learning_rate: float
    schedule: Literal["constant", "triangular"]
    label_smoothing: float
    weight_averaging: float
    patience: int | None = None
    prune: float = 0.0
    flip: bool = False
    shift: int = 0
    erase: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a budget buys on this machine.

    Attributes:
        model_name: the architecture.
        width: channels of its first stage; None where it has one size.
        images_per_second: that it trains on here and now, about.
        passes: over the training images that the budget should allow.
        seconds: that remain for training after the measurement.
        validation_seconds: of these, what the validation after the last step takes.
    """

    model_name: str
    width: int | None
    images_per_second: float
    passes: float
    seconds: float
    validation_seconds: float

    def __str__(self) -> str:
        """What was chosen and why, for people."""
        size = f" at width {self.width}" if self.width else ""
        return (
            f"this machine trains {self.model_name}{size} on about {self.images_per_second:,.0f} "
            f"images a second, {self.passes:.1f} passes over the training images in "
            f"{self.seconds:.0f} s"
        )
