"""Arguments of every command, with their help. Imports nothing heavy: `--help` answers at once."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from apparel._version import __version__
from apparel.core.model_formats import INT8_FORMATS, SUFFIXES
from apparel.core.recipes import RECIPES
from apparel.core.settings import Settings, flag, options
from apparel.serve.limits import Limits

_SHOWN = "(default: %(default)s)"
# Settings that `apparel check` offers as well.
OF_CHECK = ("split_seed", "limit", "test_split", "image_size")
_SOURCE = "fashion-mnist, or the path of a folder or file with labelled images"


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with short ways to add options."""

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong with the arguments, and end with exit code 2."""
        self.exit(2, f"{self.prog}: {message}. See: {self.prog} --help\n")

    def option(
        self, name: str, read: Callable[[str], Any], metavar: str, text: str, **more: Any
    ) -> None:
        """Add an option or argument that takes a word; the help ends in its default, if any."""
        shown = f" {_SHOWN}" if more.get("default") not in (None, []) else ""
        self.add_argument(name, type=read, metavar=metavar, help=text + shown, **more)

    def switch(self, name: str, text: str) -> None:
        """Add an option that takes no word."""
        self.add_argument(name, action="store_true", help=text)

    def run_and_data_dir(self) -> None:
        """Add a run directory, and the folder of the data set's files."""
        self.option("run", Path, "RUN", "a run directory")
        self.data_dir()

    def data(self, default: str | None, shown: str) -> None:
        """Add the source of labelled images."""
        self.option("--data", str, "SOURCE", _SOURCE + shown, default=default)
        self.data_dir()

    def data_dir(self) -> None:
        """Add the folder of the data set's files."""
        self.option("--data-dir", Path, "DIR", "a folder with the data set's files")

    def ray(self) -> None:
        """Add the address of a Ray cluster."""
        text = (
            "work on a Ray cluster: the host and port of its head node, auto for one that runs on "
            "this machine, or nothing for one that this command starts here"
        )
        self.option("--ray", str, "ADDRESS", text, nargs="?", const="local")

    def settings(self, names: tuple[str, ...] | None = None) -> None:
        """Add the options of some settings, or of all."""
        for name, option, default in options():
            if names is not None and name not in names:
                continue
            more: dict[str, Any] = {"type": option.read, "metavar": option.metavar}
            shown = option.default or _default_of_models(name, default)
            if option.choices:
                more = {"choices": option.choices}
            elif option.read is bool:
                more = {
                    "action": argparse.BooleanOptionalAction if default is None else "store_true"
                }
                shown = option.default or ""
            text = option.help + (f" (default: {shown})" if shown else "")
            self.add_argument(flag(name), dest=name, default=default, help=text, **more)


def _default_of_models(name: str, default: object) -> str:
    """Give the default of a setting, by model where each has its own; nothing if there is none."""
    if default is not None:
        return f"{default}"
    values = {model: getattr(recipe, name, None) for model, recipe in RECIPES.items()}
    return ", ".join(f"{model} {value}" for model, value in values.items() if value is not None)


def settings_of(parsed: argparse.Namespace) -> Settings:
    """Collect the settings among the arguments of a command.

    Raises:
        UsageError: a value is outside its range, or two contradict each other.
    """
    names = (name for name, *_ in options() if hasattr(parsed, name))
    return Settings(**{name: getattr(parsed, name) for name in names})


def parser() -> argparse.ArgumentParser:
    """Describe the command."""
    top = _Parser(
        prog="apparel",
        description="Turn labelled small images into a trained, tested, explained classifier.",
        epilog="Exit codes: 0 done, 1 failed, or checked and not clean, 2 wrong usage, 3 bad input "
        "data, 4 bad model file, 5 could not get the data, 130 interrupted, 143 terminated.",
    )
    top.add_argument("--version", action="version", version=f"apparel {__version__}")
    commands = top.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    for name, (add, summary, description) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=description)
        command.switch("--debug", "show a traceback on errors")
        add(command)
    return top


def _add_run(command: _Parser) -> None:
    command.data("fashion-mnist", "")
    command.settings()
    command.option(
        "--run-dir", Path, "DIR", "where the run goes (default: runs/<date>-<time>-<model>)"
    )
    command.switch("--overwrite", "replace the run that is in --run-dir")
    formats = ", ".join(SUFFIXES.values())
    command.option(
        "--save", Path, "FILE", f"save the model here too; its ending is one of {formats}"
    )
    command.option(
        "--seeds",
        int,
        "N",
        "run once for each of N seeds, and report how much the results differ",
    )
    command.option(
        "--workers",
        int,
        "N",
        "train on N workers of a Ray cluster, each with its share of every batch",
    )
    command.ray()


def _add_resume(command: _Parser) -> None:
    command.option("run", Path, "RUN", "the directory of the run")
    command.data(None, " (default: where they were)")
    command.ray()


def _add_tune(command: _Parser) -> None:
    command.data("fashion-mnist", "")
    command.option(
        "--budget", str, "TIME", "how long all training together may take", default="30m"
    )
    command.option(
        "--trials",
        int,
        "N",
        "try N settings at most; each gets an N-th of the search (default: as many as fit, each a "
        "twelfth)",
    )
    command.settings(("seed", "limit"))
    command.option(
        "--run-dir", Path, "DIR", "where the search goes (default: runs/<date>-<time>-tune)"
    )
    command.ray()


def _add_evaluate(command: _Parser) -> None:
    command.option("run", Path, "RUN", "a run directory")
    command.data(None, " (default: that of the run)")


def _add_compare(command: _Parser) -> None:
    text = "a run directory; the first is compared with each of the others"
    command.option("runs", Path, "RUN", text, nargs="+")


def _add_check(command: _Parser) -> None:
    command.option("source", str, "SOURCE", _SOURCE)
    command.data_dir()
    command.settings(OF_CHECK)
    command.option(
        "--output", Path, "FILE", "file that lists all findings by name", default=Path("check.json")
    )
    command.option(
        "--fix",
        Path,
        "FILE",
        "write a new CSV table for --data that leaves out unreadable files, training images that "
        "duplicate test images, images with two labels, and all but one of the images of a split "
        "that have the same pixels",
    )


def _add_predict(command: _Parser) -> None:
    command.option("model", Path, "MODEL", "an .onnx file, or a run directory that has one")
    command.option(
        "images",
        str,
        "IMAGE",
        "an image file, a folder of them, a pattern such as 'photos/*.jpg', a Parquet file of "
        "images, a CSV file with a column path, a URL of any of these such as s3://bucket/photos, "
        "- for standard input, or a part of Fashion-MNIST such as 'fashion-mnist:test[0:100]'",
        nargs="+",
    )
    command.option("--top-k", int, "K", "how many classes to name", default=1)
    command.option(
        "--threshold",
        float,
        "T",
        "mark answers of a lower confidence as not sure, 0 for none (default: as the model was "
        "made)",
    )
    command.switch(
        "--raw", "take photos as they are, and do not make them look like Fashion-MNIST's images"
    )
    command.switch(
        "--exact", "compute in float32, even where OpenVINO in bfloat16 is installed and faster"
    )
    command.option(
        "--output",
        str,
        "FILE",
        "write every class's probability to a .csv, .jsonl or .parquet file, and no rows to the "
        "terminal; with --ray, a folder of such files, or its URL",
    )
    command.option(
        "--explain",
        Path,
        "DIR",
        "a new folder for a PNG picture of each image with what mattered for the answer",
    )
    command.ray()
    command.data_dir()


def _add_serve(command: _Parser) -> None:
    command.option("model", Path, "MODEL", "an .onnx file, or a run directory that has one")
    command.option("--host", str, "HOST", "the address to listen on", default="127.0.0.1")
    command.option("--port", int, "N", "0 for any that is free", default=8000)
    command.option(
        "--token",
        str,
        "TOKEN",
        "what clients must send as 'Authorization: Bearer TOKEN'; better given by the environment "
        "variable APPAREL_TOKEN, which other users of the machine cannot see",
    )
    command.switch("--insecure", "listen beyond this machine without a token")
    for name, metavar, text in (
        ("--allow-host", "NAME", "a further name by which clients may call the server"),
        ("--allow-origin", "ORIGIN", "a page that may use the server, such as https://example.org"),
    ):
        repeated = f"{text}; may be repeated"
        command.option(name, str, metavar, repeated, action="append", default=[])
    command.switch("--exact", "compute in float32, even where bfloat16 is faster")
    group = command.add_argument_group("limits")
    for name, value, meaning in (
        ("--max-body", Limits.body_bytes, "bytes of one request"),
        ("--max-images", Limits.images, "images of one request"),
        ("--max-pixels", Limits.pixels, "pixels of one image as it was sent"),
        ("--max-connections", Limits.connections, "connections open at once"),
        ("--queue", Limits.queue, "images that wait for an answer"),
        ("--read-timeout", Limits.read_seconds, "seconds to receive one request"),
        ("--answer-timeout", Limits.answer_seconds, "seconds that a request may wait"),
    ):
        read = float if "timeout" in name else int
        shown = f"{meaning} {_SHOWN}"
        group.add_argument(name, type=read, default=value, metavar="N", help=shown)


def _add_export(command: _Parser) -> None:
    command.option("run", Path, "RUN", "a run directory")
    command.add_argument(
        "--format",
        choices=tuple(SUFFIXES),
        default="onnx",
        help="the format: litert for telephones and boards, openvino for Intel's processors, "
        f"saved_model for TensorFlow {_SHOWN}",
    )
    command.switch(
        "--int8",
        "quantise the layers to integers of eight bits: a quarter of the size, and at least 99%% "
        f"of the same classes; for {', '.join(INT8_FORMATS)}",
    )
    formats = ", ".join(SUFFIXES.values())
    command.option(
        "--output",
        Path,
        "PATH",
        f"where to, ending in {formats} (default: model or model.int8 with the format's ending, "
        "in RUN)",
    )
    command.data_dir()


# Each command: what adds its arguments, a summary, and a description.
_COMMANDS: dict[str, tuple[Callable[[_Parser], None], str, str]] = {
    "run": (
        _add_run,
        "train, test, explain and export a classifier",
        "Train a classifier, test it, explain the result and export the model. Every figure, "
        "picture and file lands in a run directory.",
    ),
    "resume": (
        _add_resume,
        "finish an interrupted run",
        "Finish an interrupted run, search or set of seeds from its last checkpoint. The result is "
        "the same, bit for bit, as without the interruption.",
    ),
    "tune": (
        _add_tune,
        "search for settings that train a better classifier",
        "Try settings in short trainings, stop the poor ones early, then train the best one and "
        "the default in full, test both and compare them. Hyperparameters are selected on the "
        "validation set only. An interrupted search is finished by apparel resume.",
    ),
    "evaluate": (
        _add_evaluate,
        "score the saved model of a run once more",
        "Score the saved model of a run on its test images and print every figure.",
    ),
    "compare": (
        _add_compare,
        "say whether one run is better than another",
        "Compare runs that were tested on the same images: image by image, or, where there are "
        "several seeds of each setting, by their mean accuracies.",
    ),
    "check": (
        _add_check,
        "find leaks, wrong labels and broken files in a data set",
        "Count the images of a data set, and find what spoils a result: training images that "
        "duplicate test images, images with two labels, copies, files that cannot be read, small "
        "classes, and images that are blank or unlike the rest. Changes no file of the data. "
        "Exits with 1 where it finds leaks or conflicting labels.",
    ),
    "stress": (
        _Parser.run_and_data_dir,
        "test the saved model of a run on corrupted images",
        "Test the saved model of a run on test images that are noisy, blurred, shifted, turned, "
        "shrunk, brighter, paler or partly covered, each at five strengths, and on adversarial "
        "images.",
    ),
    "suspects": (
        _Parser.run_and_data_dir,
        "find labels of a run's images that are probably wrong",
        "Find labels of the training and test images of a run that are probably wrong, by "
        "confident learning: models of the kind fast, each trained on four fifths of the training "
        "images, judge the images that they were not trained on.",
    ),
    "report": (
        _Parser.run_and_data_dir,
        "write report and model card of a run anew",
        "Write report.html and the model card of a run anew.",
    ),
    "predict": (
        _add_predict,
        "classify image files",
        "Classify image files with an exported model. Loads no TensorFlow.",
    ),
    "serve": (
        _add_serve,
        "serve a model over HTTP, with a page for people",
        "Serve an exported model: a page to try it on, POST /predict for image files, and the Open "
        "Inference Protocol for programs; /docs describes all of it. Loads no TensorFlow. Only "
        "this machine may ask unless --host says otherwise.",
    ),
    "export": (
        _add_export,
        "write the model of a run in another format",
        "Write the model of a run in another format, read it back in the runtime of that format, "
        "and keep it if it is the same on the run's validation images. All formats but keras take "
        "raw pixels, and say what their classes are.",
    ),
}
