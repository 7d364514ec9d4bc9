"""The arguments of the command, with their help."""

import argparse
from pathlib import Path
from typing import NoReturn, TypeAlias

from apparel import recipes
from apparel._version import __version__
from apparel.errors import ApparelError
from apparel.formats import INT8_FORMATS, SUFFIXES
from apparel.limits import Limits
from apparel.settings import DTYPES, Settings, parse_budget

Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"  # noqa: SLF001  # it has no other name

_SHOWN = "(default: %(default)s)"
_MODEL_HELP = (
    "architecture: the small cnn, fast (better in a fraction of the time), best (the most "
    "accurate), or auto, what fits --budget best, and cnn without one (default: %(default)s)"
)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See: {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Describe the command."""
    top = _Parser(
        prog="apparel",
        description="Turn labelled small images into a trained, tested, explained classifier.",
        epilog="Exit codes: 0 done, 1 failed, or checked and not clean, 2 wrong usage, 3 bad input "
        "data, 4 bad model file, 5 could not get the data, 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"apparel {__version__}")
    common = _Parser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show a traceback on errors")
    commands = top.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    _add_run(commands, common)
    _add_evaluate(commands, common)
    _add_compare(commands, common)
    _add_check(commands, common)
    _add_further_looks(commands, common)
    _add_predict(commands, common)
    _add_serve(commands, common)
    _add_export(commands, common)
    return top


def _add_run(commands: "Commands", common: _Parser) -> None:
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


def _add_training(command: argparse.ArgumentParser) -> None:
    """Add what decides which model is trained on which images, and how."""
    default = Settings()
    add = command.add_argument
    add("--model", choices=("auto", *recipes.RECIPES), default="auto", help=_MODEL_HELP)
    _add_data(command, default="fashion-mnist", shown=_SHOWN)
    add("--width", type=int, metavar="N", help="channels of the first stage of fast and best")
    add("--epochs", type=int, metavar="N", help=f"passes over the images {_of_model('epochs')}")
    add(
        "--budget",
        type=_budget,
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
        "--dtype", choices=DTYPES, default=default.dtype, help=f"number format of training {_SHOWN}"
    )
    add(
        "--weight-averaging",
        type=float,
        metavar="SHARE",
        help="average the weights of cnn over this share of training, at its end "
        f"(default: {recipes.RECIPES['cnn'].weight_averaging})",
    )
    add(
        "--no-flip",
        action="store_false",
        dest="flip",
        default=None,
        help="do not train fast and best on mirrored images, for example of digits",
    )
    add(
        "--target-accuracy",
        type=float,
        default=default.target_accuracy,
        metavar="SHARE",
        help="of the answers, where the model may leave out images that it is not sure of "
        f"{_SHOWN}",
    )
    add(
        "--validation-split",
        type=float,
        default=default.validation_split,
        metavar="SHARE",
        help=f"share of the training images that is held out {_SHOWN}",
    )
    _add_image_choice(command)
    add(
        "--max-bad",
        type=float,
        default=default.max_bad,
        metavar="SHARE",
        help=f"share of the files that may be unreadable {_SHOWN}",
    )
    add(
        "--keep-leaks",
        action="store_true",
        help="train also on images that are among the test images as well, and report the accuracy "
        "with and without these",
    )


def _add_image_choice(command: argparse.ArgumentParser) -> None:
    """Add what decides which images of a source are taken, and how."""
    default = Settings()
    add = command.add_argument
    add(
        "--seed", type=int, default=default.seed, metavar="N", help=f"of everything random {_SHOWN}"
    )
    add(
        "--limit",
        type=int,
        metavar="N",
        help="take N stratified images of each split, for a fast try",
    )
    add(
        "--test-split",
        type=float,
        default=default.test_split,
        metavar="SHARE",
        help="share of every class that is drawn for testing where the data have no test images "
        f"{_SHOWN}",
    )
    add(
        "--image-size",
        type=int,
        metavar="N",
        help="height and width that images in files are brought to (default: their own where all "
        "have the same of at most 64, else the median of their longer sides, and at most 64)",
    )


def _of_model(setting: str) -> str:
    """Say each model's own value of a setting."""
    values = ", ".join(f"{name} {getattr(r, setting)}" for name, r in recipes.RECIPES.items())
    return f"(default: {values})"


def _budget(text: str) -> float:
    """Read `--budget`; what is wrong with it is argparse's to say."""
    try:
        return parse_budget(text)
    except ApparelError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _add_evaluate(commands: "Commands", common: _Parser) -> None:
    command = commands.add_parser(
        "evaluate",
        parents=[common],
        help="score the saved model of a run once more",
        description="Score the saved model of a run on its test images and print every figure.",
    )
    command.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    _add_data(command, default=None, shown="(default: that of the run)")


def _add_compare(commands: "Commands", common: _Parser) -> None:
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


def _add_check(commands: "Commands", common: _Parser) -> None:
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
    _add_data_dir(command)
    _add_image_choice(command)
    add(
        "--output",
        type=Path,
        default=Path("check.json"),
        metavar="FILE",
        help=f"where everything that was found is listed by name {_SHOWN}",
    )
    add(
        "--fix",
        type=Path,
        metavar="FILE",
        help="write a new CSV table for --data that leaves out unreadable files, training images "
        "that are test images as well, images with two labels, and all but one of the images of a "
        "split that have the same pixels",
    )


def _add_further_looks(commands: "Commands", common: _Parser) -> None:
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
    commands: "Commands", common: _Parser, name: str, *, summary: str, description: str
) -> None:
    """Add a command that takes a run directory and the data set's files."""
    command = commands.add_parser(name, parents=[common], help=summary, description=description)
    command.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    _add_data_dir(command)


def _add_predict(commands: "Commands", common: _Parser) -> None:
    command = commands.add_parser(
        "predict",
        parents=[common],
        help="classify image files",
        description="Classify image files with an exported model. Loads no TensorFlow.",
    )
    add = command.add_argument
    add("model", type=Path, metavar="MODEL", help="an .onnx file, or a run directory that has one")
    add(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="an image file, a folder of them, a pattern such as 'photos/*.jpg', - for standard "
        "input, or a part of Fashion-MNIST such as 'fashion-mnist:test[0:100]'",
    )
    add(
        "--top-k",
        type=int,
        default=1,
        metavar="K",
        help=f"how many classes to name {_SHOWN}",
    )
    add(
        "--threshold",
        type=float,
        metavar="T",
        help="mark answers of a lower confidence as not sure, 0 for none (default: as the model "
        "was made)",
    )
    add(
        "--raw",
        action="store_true",
        help="take photos as they are, and do not make them look like Fashion-MNIST's images",
    )
    add(
        "--exact",
        action="store_true",
        help="compute in float32, even where OpenVINO in bfloat16 is installed and faster",
    )
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="write every class's probability to a .csv, .jsonl or .parquet file, and no rows to "
        "the terminal",
    )
    add(
        "--explain",
        type=Path,
        metavar="DIR",
        help="a new folder for a PNG picture of each image with what mattered for the answer",
    )
    _add_data_dir(command)


def _add_serve(commands: "Commands", common: _Parser) -> None:
    command = commands.add_parser(
        "serve",
        parents=[common],
        help="serve a model over HTTP, with a page for people",
        description="Serve an exported model: a page to try it on, POST /predict for image files, "
        "and the Open Inference Protocol for programs; /docs describes all of it. Loads no "
        "TensorFlow. Only this machine may ask unless --host says otherwise.",
    )
    add = command.add_argument
    add("model", type=Path, metavar="MODEL", help="an .onnx file, or a run directory that has one")
    add("--host", default="127.0.0.1", help=f"the address to listen on {_SHOWN}")
    add("--port", type=int, default=8000, metavar="N", help=f"0 for any that is free {_SHOWN}")
    add(
        "--token",
        help="what clients must send as 'Authorization: Bearer TOKEN'; better given by the "
        "environment variable APPAREL_TOKEN, which other users of the machine cannot see",
    )
    add(
        "--insecure",
        action="store_true",
        help="listen beyond this machine without a token",
    )
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name by which clients may call the server; may be repeated",
    )
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a page that may use the server, for example https://example.org; may be repeated",
    )
    add("--exact", action="store_true", help="compute in float32, even where bfloat16 is faster")
    _add_limits(command)


def _add_limits(command: argparse.ArgumentParser) -> None:
    """Add what a server takes, and how long it waits."""
    group = command.add_argument_group("limits")
    for option, value, of_what in (
        ("--max-body", Limits.body_bytes, "bytes of one request"),
        ("--max-images", Limits.images, "images of one request"),
        ("--max-pixels", Limits.pixels, "pixels of one image as it was sent"),
        ("--max-connections", Limits.connections, "connections open at once"),
        ("--queue", Limits.queue, "images that wait for an answer"),
        ("--read-timeout", Limits.read_seconds, "seconds to receive one request"),
        ("--answer-timeout", Limits.answer_seconds, "seconds that a request may wait"),
    ):
        kind = float if "timeout" in option else int
        group.add_argument(
            option, type=kind, default=value, metavar="N", help=f"{of_what} {_SHOWN}"
        )


def _add_export(commands: "Commands", common: _Parser) -> None:
    command = commands.add_parser(
        "export",
        parents=[common],
        help="write the model of a run in another format",
        description="Write the model of a run in another format, read it back in the runtime of "
        "that format, and keep it if it is the same on the run's validation images. All formats "
        "but keras take raw pixels, and say what their classes are.",
    )
    add = command.add_argument
    add("run", type=Path, metavar="RUN", help="a run directory")
    add(
        "--format",
        choices=tuple(SUFFIXES),
        default="onnx",
        help="the format: litert for telephones and boards, openvino for Intel's processors, "
        f"saved_model for TensorFlow {_SHOWN}",
    )
    add(
        "--int8",
        action="store_true",
        help="let the layers compute in whole numbers of eight bits: a quarter of the size, and at "
        f"least 99%% of the same classes; for {', '.join(INT8_FORMATS)}",
    )
    add(
        "--output",
        type=Path,
        metavar="PATH",
        help=f"where to, ending in {', '.join(SUFFIXES.values())} (default: model or model.int8 "
        "with the format's ending, in RUN)",
    )
    _add_data_dir(command)


def _add_data(command: argparse.ArgumentParser, *, default: str | None, shown: str) -> None:
    command.add_argument(
        "--data",
        default=default,
        metavar="SOURCE",
        help=f"fashion-mnist, or the path of a folder or file with labelled images {shown}",
    )
    _add_data_dir(command)


def _add_data_dir(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="a folder with the data set's files"
    )
