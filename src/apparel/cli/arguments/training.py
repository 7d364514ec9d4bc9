"""The arguments of training."""

import argparse
from collections.abc import Callable
from pathlib import Path

from apparel.cli.arguments.base import (
    SHOWN,
    Commands,
    Parser,
    add_data,
    add_image_choice,
    add_ray,
    add_seed_and_limit,
)
from apparel.core import recipes
from apparel.core.errors import ApparelError
from apparel.core.model_formats import SUFFIXES
from apparel.core.settings import DTYPES, Settings
from apparel.core.validation import parse_time

_MODEL_HELP = (
    "architecture: the small cnn, fast (better in a fraction of the time), best (the most "
    "accurate), or auto, what fits --budget best, and cnn without one (default: %(default)s)"
)

# Of a search, in seconds.
USUAL_BUDGET = 1800.0


def add_run(commands: Commands, common: Parser) -> None:
    """Add `apparel run`."""
    command = commands.add_parser(
        "run",
        parents=[common],
        help="train, test, explain and export a classifier",
        description="Train a classifier, test it, explain the result and export the model. "
        "Every figure, picture and file lands in a run directory.",
    )
    _add_training(command)
    add = command.add_argument
    add(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="where the run goes (default: runs/<date>-<time>-<model>)",
    )
    add("--overwrite", action="store_true", help="replace the run that is in --run-dir")
    add(
        "--save",
        type=Path,
        metavar="FILE",
        help="save the model here too; its ending names the "
        f"format, one of {', '.join(SUFFIXES.values())}",
    )
    add(
        "--seeds",
        type=int,
        metavar="N",
        help="run once for each of N seeds, and say how much the results differ",
    )
    add(
        "--workers",
        type=int,
        metavar="N",
        help="train on N workers of a Ray cluster, each with its share of every batch",
    )
    add_ray(command)


def add_resume(commands: Commands, common: Parser) -> None:
    """Add `apparel resume`."""
    command = commands.add_parser(
        "resume",
        parents=[common],
        help="go on with a run that was broken off",
        description="Go on with a run that was broken off, from its last checkpoint to its end. "
        "The result is the same, bit for bit, as if nothing had happened.",
    )
    command.add_argument("run", type=Path, metavar="RUN", help="the directory of the run")
    add_data(command, default=None, shown="(default: where they were)")
    add_ray(command)


def add_tune(commands: Commands, common: Parser) -> None:
    """Add `apparel tune`."""
    command = commands.add_parser(
        "tune",
        parents=[common],
        help="search for settings that train a better classifier",
        description="Try settings in short trainings, stop the poor ones early, then train the "
        "best one and the default in full, test both and compare them. Settings are chosen by the "
        "validation images alone. A search that was broken off goes on with apparel resume.",
    )
    add_data(command, default="fashion-mnist", shown=SHOWN)
    add = command.add_argument
    add(
        "--budget",
        type=_time("budget"),
        default=USUAL_BUDGET,
        metavar="TIME",
        help="how long all training together may take (default: 30m)",
    )
    add(
        "--trials",
        type=int,
        metavar="N",
        help="try N settings at most; each gets an N-th of the search (default: as many as fit, "
        "each a twelfth)",
    )
    add_seed_and_limit(command)
    add(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="where the search goes (default: runs/<date>-<time>-tune)",
    )
    add_ray(command)


def _add_training(command: argparse.ArgumentParser) -> None:
    """Add what decides which model is trained on which images, and how."""
    default = Settings()
    add = command.add_argument
    add("--model", choices=("auto", *recipes.RECIPES), default="auto", help=_MODEL_HELP)
    add_data(command, default="fashion-mnist", shown=SHOWN)
    add("--width", type=int, metavar="N", help="channels of the first stage of fast and best")
    add("--epochs", type=int, metavar="N", help=f"passes over the images {_of_model('epochs')}")
    add(
        "--budget",
        type=_time("budget"),
        metavar="TIME",
        help="train for so long instead, for example 60s, 10m or 1h",
    )
    add(
        "--patience",
        type=int,
        metavar="N",
        help="stop after N epochs without a higher validation accuracy, keep the best epoch",
    )
    add(
        "--batch-size",
        type=int,
        metavar="N",
        help=f"images in a training step {_of_model('batch_size')}",
    )
    add(
        "--learning-rate",
        type=float,
        metavar="RATE",
        help=f"largest step size of the optimiser {_of_model('learning_rate')}",
    )
    add("--dtype", choices=DTYPES, default=default.dtype, help=f"number format of training {SHOWN}")
    add(
        "--weight-averaging",
        type=float,
        metavar="SHARE",
        help="average the weights of cnn over this share of training, at its end "
        f"(default: {recipes.RECIPES['cnn'].weight_averaging})",
    )
    _add_regularisation(command)
    add(
        "--target-accuracy",
        type=float,
        default=default.target_accuracy,
        metavar="SHARE",
        help=f"of the answers, where the model may leave out images that it is not sure of {SHOWN}",
    )
    add(
        "--validation-split",
        type=float,
        default=default.validation_split,
        metavar="SHARE",
        help=f"share of the training images that is held out {SHOWN}",
    )
    add_image_choice(command)
    add(
        "--max-bad",
        type=float,
        default=default.max_bad,
        metavar="SHARE",
        help=f"share of the files that may be unreadable {SHOWN}",
    )
    add(
        "--keep-leaks",
        action="store_true",
        help="train also on images that are among the test images as well, and report the accuracy "
        "with and without these",
    )
    add(
        "--checkpoint-every",
        type=_time("checkpoint_every"),
        metavar="TIME",
        help="keep the state of training this often as well, for example 30s (default: after "
        "every epoch)",
    )


def _add_regularisation(command: argparse.ArgumentParser) -> None:
    """Add what keeps fast and best from learning their images by heart."""
    add = command.add_argument
    add(
        "--no-flip",
        action="store_false",
        dest="flip",
        default=None,
        help="do not train fast and best on mirrored images, for example of digits",
    )
    add(
        "--label-smoothing",
        type=float,
        metavar="SHARE",
        help="spread this share of each label of fast and best over all classes "
        f"(default: {recipes.RECIPES['fast'].label_smoothing})",
    )
    add(
        "--shift",
        type=int,
        metavar="N",
        help="move the images of fast and best by up to N pixels (default: 1 from 8 epochs on)",
    )
    add(
        "--erase",
        type=float,
        metavar="SHARE",
        help="fill a rectangle with noise in this share of the images of fast and best "
        "(default: 0.5 from 14 epochs on)",
    )


def _of_model(setting: str) -> str:
    """Say each model's own value of a setting."""
    values = ", ".join(f"{name} {getattr(r, setting)}" for name, r in recipes.RECIPES.items())
    return f"(default: {values})"


def _time(name: str) -> Callable[[str], float]:
    """Read an argument that is a time; what is wrong with it is argparse's to say."""

    def read(text: str) -> float:
        try:
            return parse_time(name, text)
        except ApparelError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read
