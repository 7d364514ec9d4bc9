"""The arguments of what looks at data and at runs."""

from pathlib import Path

from apparel.cli.arguments.base import (
    SHOWN,
    Commands,
    Parser,
    add_data,
    add_data_dir,
    add_image_choice,
)


def add_evaluate(commands: Commands, common: Parser) -> None:
    """Add `apparel evaluate`."""
    command = commands.add_parser(
        "evaluate",
        parents=[common],
        help="score the saved model of a run once more",
        description="Score the saved model of a run on its test images and print every figure.",
    )
    command.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    add_data(command, default=None, shown="(default: that of the run)")


def add_compare(commands: Commands, common: Parser) -> None:
    """Add `apparel compare`."""
    command = commands.add_parser(
        "compare",
        parents=[common],
        help="say whether one run is better than another",
        description="Compare runs that were tested on the same images: image by image, or, where "
        "there are several seeds of each setting, by their mean accuracies.",
    )
    command.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="a run directory; the first is compared with each of the others",
    )


def add_check(commands: Commands, common: Parser) -> None:
    """Add `apparel check`."""
    command = commands.add_parser(
        "check",
        parents=[common],
        help="find leaks, wrong labels and broken files in a data set",
        description="Count the images of a data set, and find what spoils a result: training "
        "images that are among the test images as well, images with two labels, copies, files "
        "that cannot be read, small classes, and images that are blank or unlike the rest. "
        "Changes no file of the data. Exits with 1 where it finds leaks or conflicting labels.",
    )
    add = command.add_argument
    add(
        "source",
        metavar="SOURCE",
        help="fashion-mnist, or the path of a folder or file with labelled images",
    )
    add_data_dir(command)
    add_image_choice(command)
    add(
        "--output",
        type=Path,
        default=Path("check.json"),
        metavar="FILE",
        help=f"where everything that was found is listed by name {SHOWN}",
    )
    add(
        "--fix",
        type=Path,
        metavar="FILE",
        help="write a new CSV table for --data that leaves out unreadable files, training images "
        "that are test images as well, images with two labels, and all but one of the images of a "
        "split that have the same pixels",
    )


def add_further_looks(commands: Commands, common: Parser) -> None:
    """Add what else can be found out about a run."""
    _add_on_run(
        commands,
        common,
        "stress",
        summary="test the saved model of a run on images made worse",
        description="Test the saved model of a run on test images that are noisy, blurred, "
        "shifted, turned, shrunk, brighter, paler or partly covered, each at five strengths, and "
        "on images changed on purpose to mislead it.",
    )
    _add_on_run(
        commands,
        common,
        "suspects",
        summary="find labels of a run's images that are probably wrong",
        description="Find labels of the training and test images of a run that are probably "
        "wrong, by confident learning: models of the kind fast, trained on four fifths of the "
        "training images each, judge the images that they did not learn from.",
    )
    _add_on_run(
        commands,
        common,
        "report",
        summary="write report and model card of a run anew",
        description="Write report.html and the model card of a run anew.",
    )


def _add_on_run(
    commands: Commands, common: Parser, name: str, *, summary: str, description: str
) -> None:
    """Add a command that takes a run directory and the data set's files."""
    command = commands.add_parser(name, parents=[common], help=summary, description=description)
    command.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    add_data_dir(command)
