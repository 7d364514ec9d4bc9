"""Settings of a run, each option declared once; what a recipe adds, and what a budget buys.

The fields of `Settings` are the only list of the options. The keyword arguments of
`ApparelClassifier`, the options of the command with their help, docs/command.md, `settings.json`
and the command that repeats a run all follow from them.

Free of NumPy, so that the command's `--help` stays quick.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Literal, TypeAlias

from apparel.core.errors import UsageError
from apparel.core.recipes import RECIPES
from apparel.core.validation import (
    checked_positive,
    checked_seed,
    checked_share,
    parse_time,
    real_number,
    whole_number,
)

Dtype: TypeAlias = Literal["auto", "float32", "mixed_bfloat16"]

MODELS = ("auto", *RECIPES)
DTYPES = ("auto", "float32", "mixed_bfloat16")
# A batch is moved in a step for each place, and these are (2 * shift + 1) squared.
MOST_SHIFT = 8


@dataclass(frozen=True, kw_only=True)
class Option:
    """One setting, as the command offers it.

    Attributes:
        help: its meaning, without its default.
        check: takes the setting's name and value; returns a plain Python value, or raises
            UsageError.
        read: type of its word on the command line; `bool` for a switch without a word.
        metavar: placeholder of that word in the help.
        choices: the words that are allowed; empty for any.
        default: the default in words, where the value of the field does not say it.
        selects_images: whether it decides which images are loaded, and how.
    """

    help: str
    check: Callable[[str, Any], Any]
    read: Callable[[str], Any]
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    default: str | None = None
    selects_images: bool = False


def _choice(name: str, value: object, *, choices: tuple[str, ...]) -> object:
    """Return one of a few words."""
    if value not in choices:
        raise UsageError(
            f"{name} must be one of {', '.join(choices)}, but is {value!r}. Choose one."
        )
    return value


def _truth(name: str, value: object) -> bool:
    """Return a truth value as a plain `bool`."""
    if value not in (True, False):
        raise UsageError(f"{name} must be True or False, but is {value!r}. Choose one.")
    return bool(value)


def _part(name: str, value: object, *, zero: bool, advice: str) -> float:
    """Return a share below 1 as a plain `float`; `zero` says whether 0 is allowed."""
    number = real_number(name, value)
    if not (0 < number < 1 or (zero and number == 0)):
        bounds = "in 0 to 1, 1 excluded" if zero else "between 0 and 1, both excluded"
        raise UsageError(f"{name} must lie {bounds}, but is {number!r}. {advice}")
    return number


def _pixels(name: str, value: object) -> int:
    """Return by how many pixels images may move."""
    number = whole_number(name, value, minimum=0)
    if number > MOST_SHIFT:
        raise UsageError(
            f"{name} must be at most {MOST_SHIFT} pixels, but is {number}. 1 is usual."
        )
    return number


def _seconds(name: str, value: object) -> float:
    """Return a time in seconds, given as such or as text with a unit."""
    if isinstance(value, str):
        return parse_time(name, value)
    return checked_positive(name, value, "600 is ten minutes.")


def _field(help: str, *, default: Any = None, in_words: str | None = None, **option: Any) -> Any:  # noqa: A002  # argparse's word
    """Declare a field of `Settings`; `in_words` is its default in words."""
    described = Option(help=help, default=in_words, **option)
    return field(default=default, metadata={"option": described})


_whole = partial(_field, read=int, metavar="N")
_count = partial(_whole, check=partial(whole_number, minimum=1))
_share = partial(_field, read=float, metavar="SHARE")
_switch = partial(_field, read=bool, check=_truth)
_time = partial(_field, read=str, metavar="TIME", check=_seconds)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a user decides about a run. None leaves a choice to the model's recipe.

    Raises:
        UsageError: a value is outside its range, or two contradict each other.
    """

    model_name: str = _field(
        "architecture: the small cnn, fast (better in a fraction of the time), best (the most "
        "accurate), or auto, what fits --budget best, and cnn without one",
        default="auto",
        read=str,
        choices=MODELS,
        check=partial(_choice, choices=MODELS),
    )
    width: int | None = _count("channels of the first stage of fast and best")
    epochs: int | None = _count("passes over the training images")
    budget: float | None = _time("train for so long instead, for example 60s, 10m or 1h")
    patience: int | None = _count(
        "stop after N epochs without a higher validation accuracy, and keep the weights of the "
        "best epoch"
    )
    batch_size: int | None = _count("images in a training step")
    seed: int = _whole(
        "random seed",
        default=0,
        check=lambda _, value: checked_seed(value),
    )
    split_seed: int = _whole(
        "random seed that decides, with the content of each image, which are test and validation "
        "images and which --limit takes",
        default=0,
        check=lambda _, value: checked_seed(value, name="split_seed"),
        selects_images=True,
    )
    dtype: Dtype = _field(  # noqa: RUF009  # gives a `dataclasses.field`
        "number format of training",
        default="auto",
        read=str,
        choices=DTYPES,
        check=partial(_choice, choices=DTYPES),
    )
    validation_split: float = _share(
        "share of the training images that is held out",
        default=0.1,
        check=partial(_part, zero=False, advice="0.1 holds out a tenth."),
    )
    learning_rate: float | None = _field(
        "peak learning rate of the optimiser",
        read=float,
        metavar="RATE",
        check=partial(checked_positive, advice="0.001 is usual."),
    )
    weight_averaging: float | None = _share(
        "average the weights of cnn over this share of training, at its end",
        check=partial(
            checked_share, advice="0.1 averages the last tenth of the steps, 0 averages nothing."
        ),
    )
    label_smoothing: float | None = _share(
        "spread this share of each label of fast and best over all classes",
        check=partial(_part, zero=True, advice="0.1 spreads a tenth of a label."),
    )
    flip: bool | None = _switch(
        "train on mirrored images as well; digits, for example, mean something else when mirrored",
        in_words="yes for fast and best",
    )
    shift: int | None = _whole(
        "move the images of fast and best by up to N pixels",
        in_words="1 from 8 epochs on",
        check=_pixels,
    )
    erase: float | None = _share(
        "fill a rectangle with noise in this share of the images of fast and best",
        in_words="0.5 from 14 epochs on",
        check=partial(checked_share, advice="0.5 erases a part of every other."),
    )
    target_accuracy: float = _share(
        "share of the answers that should be right, where the model may leave out images that it "
        "is not sure of",
        default=0.97,
        check=partial(checked_share, advice="0.97 answers where 97 % of the answers are right."),
    )
    limit: int | None = _count(
        "take N stratified images of each split, for a fast try", selects_images=True
    )
    test_split: float = _share(
        "share of every class that is drawn for testing where the data have no test images",
        default=0.2,
        check=partial(_part, zero=False, advice="0.2 holds out a fifth."),
        selects_images=True,
    )
    image_size: int | None = _count(
        "height and width that images in files are brought to",
        in_words="their own where all have the same of at most 64, else the median of their longer "
        "sides, and at most 64",
        selects_images=True,
    )
    max_bad: float = _share(
        "share of the files that may be unreadable",
        default=0.05,
        check=partial(checked_share, advice="0.05 allows one file in twenty to be bad."),
        selects_images=True,
    )
    keep_leaks: bool = _switch(
        "keep training images that duplicate test images, and report the accuracy with and "
        "without these",
        default=False,
    )
    checkpoint_every: float | None = _time(
        "keep the state of training this often as well, for example 30s",
        in_words="after every epoch",
    )

    def __post_init__(self) -> None:
        """Check every value once, early, and keep it as a plain Python value."""
        for name, option, default in options():
            value = getattr(self, name)
            if value is not None or default is not None:
                object.__setattr__(self, name, option.check(name, value))
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
        if self.model_name == "auto" and self.budget is None:
            object.__setattr__(self, "model_name", "cnn")

    @property
    def of_data(self) -> dict[str, Any]:
        """The settings that decide which images are loaded, as `data.loading.load` names them."""
        return {name: getattr(self, name) for name, option, _ in options() if option.selects_images}


def options() -> list[tuple[str, Option, Any]]:
    """List name, description and default of each field of `Settings`."""
    return [(each.name, each.metadata["option"], each.default) for each in fields(Settings)]


def flag(name: str) -> str:
    """Give the command's name of a setting."""
    return "--" + name.removesuffix("_name").replace("_", "-")


def run_command(settings: Settings, *, source: str, data_dir: str | None = None) -> str:
    """Give the command that makes such a run again.

    Args:
        settings: of the run. What would be the same without an option is left out.
        source: name or path of the data set.
        data_dir: folder with the data set's files.
    """
    words = ["apparel", "run"]
    if source != "fashion-mnist":
        words += ["--data", source]
    if data_dir:
        words += ["--data-dir", data_dir]
    for name, option, default in options():
        value = getattr(settings, name)
        if replace(settings, **{name: default}) == settings:
            continue
        if option.read is bool:
            words.append(flag(name if value else f"no_{name}"))
        else:
            unit = "s" if option.check is _seconds else ""
            words += [flag(name), str(value).removesuffix(".0") + unit]
    return shlex.join(words)
