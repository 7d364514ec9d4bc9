"""Arguments of every command, with their help. Imports nothing heavy: `--help` answers at once."""

import argparse
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from apparel._version import __version__
from apparel.core.model_formats import INT8_FORMATS, SUFFIXES
from apparel.core.recipes import RECIPES
from apparel.core.settings import Settings, flag, options
from apparel.serve.limits import Limits

_Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"  # noqa: SLF001  # it has no other name

_SHOWN = "(default: %(default)s)"
# Settings that `apparel check` and `apparel tune` offer as well.
_OF_CHECK = ("split_seed", "limit", "test_split", "image_size")
_OF_TUNE = ("seed", "limit")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong with the arguments, and end with exit code 2."""
        self.exit(2, f"{self.prog}: {message}. See: {self.prog} --help\n")


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
    for add in (_run, _resume, _tune, _evaluate, _compare, _check, _stress, _suspects, _report,
                _predict, _serve, _export):  # fmt: skip
        add(commands)
    return top


def settings_of(parsed: argparse.Namespace, **fixed: Any) -> Settings:
    """Collect the settings among the arguments of a command.

    Args:
        parsed: the arguments.
        fixed: settings that the command does not offer.

    Raises:
        UsageError: a value is outside its range, or two contradict each other.
    """
    given = {name: getattr(parsed, name) for name, *_ in options() if hasattr(parsed, name)}
    return Settings(**given | fixed)


def _command(
    commands: _Commands, name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    """Add a command."""
    command = commands.add_parser(name, help=summary, description=description)
    command.add_argument("--debug", action="store_true", help="show a traceback on errors")
    return command


def _add_settings(command: argparse.ArgumentParser, names: tuple[str, ...] | None = None) -> None:
    """Add the options of some settings, or of all."""
    for name, option, default in options():
        if names is not None and name not in names:
            continue
        more: dict[str, Any] = {"type": option.read, "metavar": option.metavar}
        if option.choices:
            more = {"choices": option.choices}
        elif option.read is bool:
            more = {"action": argparse.BooleanOptionalAction if default is None else "store_true"}
        shown = option.default or ("" if option.read is bool else _default_of_models(name, default))
        command.add_argument(
            flag(name),
            dest=name,
            default=default,
            help=option.help + (f" (default: {shown})" if shown else ""),
            **more,
        )


def _default_of_models(name: str, default: object) -> str:
    """Give the default of a setting, by model where each has its own; nothing if there is none."""
    if default is not None:
        return f"{default}"
    values = {model: getattr(recipe, name, None) for model, recipe in RECIPES.items()}
    return ", ".join(f"{model} {value}" for model, value in values.items() if value is not None)


def _add_data(command: argparse.ArgumentParser, *, default: str | None, shown: str) -> None:
    """Add the source of labelled images."""
    command.add_argument(
        "--data",
        default=default,
        metavar="SOURCE",
        help=f"fashion-mnist, or the path of a folder or file with labelled images {shown}",
    )
    _add_data_dir(command)


def _add_data_dir(command: argparse.ArgumentParser) -> None:
    """Add the folder of the data set's files."""
    command.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="a folder with the data set's files"
    )


def _add_ray(command: argparse.ArgumentParser) -> None:
    """Add the address of a Ray cluster."""
    command.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="work on a Ray cluster: the host and port of its head node, auto for one that runs "
        "on this machine, or nothing for one that this command starts here",
    )


def _run(commands: _Commands) -> None:
    """Add `apparel run`."""
    command = _command(
        commands,
        "run",
        "train, test, explain and export a classifier",
        "Train a classifier, test it, explain the result and export the model. Every figure, "
        "picture and file lands in a run directory.",
    )
    _add_data(command, default="fashion-mnist", shown=_SHOWN)
    _add_settings(command)
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
        help="save the model here too; its ending names the format, one of "
        f"{', '.join(SUFFIXES.values())}",
    )
    add(
        "--seeds",
        type=int,
        metavar="N",
        help="run once for each of N seeds, and report how much the results differ",
    )
    add(
        "--workers",
        type=int,
        metavar="N",
        help="train on N workers of a Ray cluster, each with its share of every batch",
    )
    _add_ray(command)


def _resume(commands: _Commands) -> None:
    """Add `apparel resume`."""
    command = _command(
        commands,
        "resume",
        "finish an interrupted run",
        "Finish an interrupted run, search or set of seeds from its last checkpoint. The result is "
        "the same, bit for bit, as without the interruption.",
    )
    command.add_argument("run", type=Path, metavar="RUN", help="the directory of the run")
    _add_data(command, default=None, shown="(default: where they were)")
    _add_ray(command)


def _tune(commands: _Commands) -> None:
    """Add `apparel tune`."""
    command = _command(
        commands,
        "tune",
        "search for settings that train a better classifier",
        "Try settings in short trainings, stop the poor ones early, then train the best one and "
        "the default in full, test both and compare them. Hyperparameters are selected on the "
        "validation set only. An interrupted search is finished by apparel resume.",
    )
    _add_data(command, default="fashion-mnist", shown=_SHOWN)
    add = command.add_argument
    add(
        "--budget",
        default="30m",
        metavar="TIME",
        help=f"how long all training together may take {_SHOWN}",
    )
    add(
        "--trials",
        type=int,
        metavar="N",
        help="try N settings at most; each gets an N-th of the search (default: as many as fit, "
        "each a twelfth)",
    )
    _add_settings(command, _OF_TUNE)
    add(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="where the search goes (default: runs/<date>-<time>-tune)",
    )
    _add_ray(command)


def _evaluate(commands: _Commands) -> None:
    """Add `apparel evaluate`."""
    command = _command(
        commands,
        "evaluate",
        "score the saved model of a run once more",
        "Score the saved model of a run on its test images and print every figure.",
    )
    command.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    _add_data(command, default=None, shown="(default: that of the run)")


def _compare(commands: _Commands) -> None:
    """Add `apparel compare`."""
    command = _command(
        commands,
        "compare",
        "say whether one run is better than another",
        "Compare runs that were tested on the same images: image by image, or, where there are "
        "several seeds of each setting, by their mean accuracies.",
    )
    command.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="a run directory; the first is compared with each of the others",
    )


def _check(commands: _Commands) -> None:
    """Add `apparel check`."""
    command = _command(
        commands,
        "check",
        "find leaks, wrong labels and broken files in a data set",
        "Count the images of a data set, and find what spoils a result: training images that "
        "duplicate test images, images with two labels, copies, files that cannot be read, small "
        "classes, and images that are blank or unlike the rest. Changes no file of the data. "
        "Exits with 1 where it finds leaks or conflicting labels.",
    )
    add = command.add_argument
    add(
        "source",
        metavar="SOURCE",
        help="fashion-mnist, or the path of a folder or file with labelled images",
    )
    _add_data_dir(command)
    _add_settings(command, _OF_CHECK)
    add(
        "--output",
        type=Path,
        default=Path("check.json"),
        metavar="FILE",
        help=f"file that lists all findings by name {_SHOWN}",
    )
    add(
        "--fix",
        type=Path,
        metavar="FILE",
        help="write a new CSV table for --data that leaves out unreadable files, training images "
        "that duplicate test images, images with two labels, and all but one of the images of a "
        "split that have the same pixels",
    )


def _stress(commands: _Commands) -> None:
    """Add `apparel stress`."""
    _on_run(
        commands,
        "stress",
        "test the saved model of a run on corrupted images",
        "Test the saved model of a run on test images that are noisy, blurred, shifted, turned, "
        "shrunk, brighter, paler or partly covered, each at five strengths, and on adversarial "
        "images.",
    )


def _suspects(commands: _Commands) -> None:
    """Add `apparel suspects`."""
    _on_run(
        commands,
        "suspects",
        "find labels of a run's images that are probably wrong",
        "Find labels of the training and test images of a run that are probably wrong, by "
        "confident learning: models of the kind fast, each trained on four fifths of the training "
        "images, judge the images that they were not trained on.",
    )


def _report(commands: _Commands) -> None:
    """Add `apparel report`."""
    _on_run(
        commands,
        "report",
        "write report and model card of a run anew",
        "Write report.html and the model card of a run anew.",
    )


def _on_run(commands: _Commands, name: str, summary: str, description: str) -> None:
    """Add a command that takes a run directory and the data set's files."""
    command = _command(commands, name, summary, description)
    command.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    _add_data_dir(command)


def _predict(commands: _Commands) -> None:
    """Add `apparel predict`."""
    command = _command(
        commands,
        "predict",
        "classify image files",
        "Classify image files with an exported model. Loads no TensorFlow.",
    )
    add = command.add_argument
    add("model", type=Path, metavar="MODEL", help="an .onnx file, or a run directory that has one")
    add(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="an image file, a folder of them, a pattern such as 'photos/*.jpg', a Parquet file of "
        "images, a CSV file with a column path, a URL of any of these such as s3://bucket/photos, "
        "- for standard input, or a part of Fashion-MNIST such as 'fashion-mnist:test[0:100]'",
    )
    add("--top-k", type=int, default=1, metavar="K", help=f"how many classes to name {_SHOWN}")
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
        metavar="FILE",
        help="write every class's probability to a .csv, .jsonl or .parquet file, and no rows to "
        "the terminal; with --ray, a folder of such files, or its URL",
    )
    add(
        "--explain",
        type=Path,
        metavar="DIR",
        help="a new folder for a PNG picture of each image with what mattered for the answer",
    )
    _add_ray(command)
    _add_data_dir(command)


def _serve(commands: _Commands) -> None:
    """Add `apparel serve`."""
    command = _command(
        commands,
        "serve",
        "serve a model over HTTP, with a page for people",
        "Serve an exported model: a page to try it on, POST /predict for image files, and the Open "
        "Inference Protocol for programs; /docs describes all of it. Loads no TensorFlow. Only "
        "this machine may ask unless --host says otherwise.",
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
    add("--insecure", action="store_true", help="listen beyond this machine without a token")
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
    group = command.add_argument_group("limits")
    for option, value, meaning in (
        ("--max-body", Limits.body_bytes, "bytes of one request"),
        ("--max-images", Limits.images, "images of one request"),
        ("--max-pixels", Limits.pixels, "pixels of one image as it was sent"),
        ("--max-connections", Limits.connections, "connections open at once"),
        ("--queue", Limits.queue, "images that wait for an answer"),
        ("--read-timeout", Limits.read_seconds, "seconds to receive one request"),
        ("--answer-timeout", Limits.answer_seconds, "seconds that a request may wait"),
    ):
        read = float if "timeout" in option else int
        group.add_argument(
            option, type=read, default=value, metavar="N", help=f"{meaning} {_SHOWN}"
        )


def _export(commands: _Commands) -> None:
    """Add `apparel export`."""
    command = _command(
        commands,
        "export",
        "write the model of a run in another format",
        "Write the model of a run in another format, read it back in the runtime of that format, "
        "and keep it if it is the same on the run's validation images. All formats but keras take "
        "raw pixels, and say what their classes are.",
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
        help="quantise the layers to integers of eight bits: a quarter of the size, and at least "
        f"99%% of the same classes; for {', '.join(INT8_FORMATS)}",
    )
    add(
        "--output",
        type=Path,
        metavar="PATH",
        help=f"where to, ending in {', '.join(SUFFIXES.values())} (default: model or model.int8 "
        "with the format's ending, in RUN)",
    )
    _add_data_dir(command)
