"""The command line: arguments in, calls out. Nothing is decided here."""

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias

from apparel import recipes
from apparel._version import __version__
from apparel.errors import ApparelError
from apparel.files import check_writable
from apparel.formats import SUFFIXES, format_of
from apparel.settings import DTYPES, Settings, parse_budget

Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"  # noqa: SLF001  # it has no other name

INTERRUPTED = 130
_SHOWN = "(default: %(default)s)"
_MODEL_HELP = (
    "architecture: the small cnn, fast (better in a fraction of the time), best (the most "
    "accurate), or auto, what fits --budget best, and cnn without one (default: %(default)s)"
)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See: {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: what follows the command's name; by default those of the process.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 3 bad input data, 4 bad model file,
        5 could not get the data, 130 interrupted.
    """
    parsed = parser().parse_args(arguments)
    try:
        parsed.handler(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED, debug=parsed.debug)
    except ApparelError as error:
        return _fail(str(error), error.exit_code, debug=parsed.debug)
    except BrokenPipeError:
        # The reader, such as head, has seen enough; nothing more may be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        return _fail(_os_message(error), 1, debug=parsed.debug)
    except Exception as error:  # noqa: BLE001  # a defect still ends in one line, unless asked
        message = f"unexpected {type(error).__name__}: {error}. --debug shows where"
        return _fail(message, 1, debug=parsed.debug)
    return 0


def parser() -> argparse.ArgumentParser:
    """Describe the command."""
    top = _Parser(
        prog="apparel",
        description="Turn labelled small images into a trained, tested, explained classifier.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 bad input data, 4 bad model file, "
        "5 could not get the data, 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"apparel {__version__}")
    common = _Parser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show a traceback on errors")
    commands = top.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    _add_run(commands, common)
    _add_evaluate(commands, common)
    _add_predict(commands, common)
    _add_export(commands, common)
    return top


def _add_run(commands: "Commands", common: _Parser) -> None:
    default = Settings()
    command = commands.add_parser(
        "run",
        parents=[common],
        help="train, test, explain and export a classifier",
        description="Train a classifier, test it, explain the result and export the model. "
        "Every figure, picture and file lands in a run directory.",
    )
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
        "--seed", type=int, default=default.seed, metavar="N", help=f"of everything random {_SHOWN}"
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
        "--validation-split",
        type=float,
        default=default.validation_split,
        metavar="SHARE",
        help=f"share of the training images that is held out {_SHOWN}",
    )
    add(
        "--limit",
        type=int,
        metavar="N",
        help="take N stratified images of each split, for a fast try",
    )
    add(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="where the run goes (default: runs/<date>-<time>-<model>)",
    )
    add("--overwrite", action="store_true", help="replace the run that is in --run-dir")
    add("--save", type=Path, metavar="FILE", help="save the model here too, as .keras or .onnx")
    command.set_defaults(handler=_run)


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
    command.set_defaults(handler=_evaluate)


def _add_predict(commands: "Commands", common: _Parser) -> None:
    command = commands.add_parser(
        "predict",
        parents=[common],
        help="classify image files",
        description="Classify image files with an exported model. Loads no TensorFlow.",
    )
    add = command.add_argument
    add("model", type=Path, metavar="MODEL", help="an .onnx file, or a run directory that has one")
    add("images", type=Path, nargs="+", metavar="IMAGE", help="an image file, or a folder of them")
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="write a CSV file with every class's probability",
    )
    command.set_defaults(handler=_predict)


def _add_export(commands: "Commands", common: _Parser) -> None:
    command = commands.add_parser(
        "export",
        parents=[common],
        help="write the model of a run in another format",
        description="Write the model of a run in another format, and prove that it is the same.",
    )
    add = command.add_argument
    add("run", type=Path, metavar="RUN", help="a run directory")
    add("--format", choices=tuple(SUFFIXES), default="onnx", help=f"the format {_SHOWN}")
    add("--output", type=Path, metavar="FILE", help="where to (default: model.<format> in RUN)")
    command.set_defaults(handler=_export)


def _add_data(command: argparse.ArgumentParser, *, default: str | None, shown: str) -> None:
    add = command.add_argument
    add("--data", default=default, metavar="SOURCE", help=f"the data set {shown}")
    add("--data-dir", type=Path, metavar="DIR", help="a folder with the data set's files")


def _run(parsed: argparse.Namespace) -> None:
    settings = Settings(
        model_name=parsed.model,
        width=parsed.width,
        epochs=parsed.epochs,
        budget=parsed.budget,
        patience=parsed.patience,
        batch_size=parsed.batch_size,
        seed=parsed.seed,
        dtype=parsed.dtype,
        validation_split=parsed.validation_split,
        weight_averaging=parsed.weight_averaging,
        flip=parsed.flip,
        limit=parsed.limit,
    )
    recipes.check(settings)
    if parsed.save:
        format_of(parsed.save)
        check_writable(parsed.save)
    from apparel import workflow  # noqa: PLC0415  # --help has no time for it
    from apparel.rundir import RunDirectory  # noqa: PLC0415  # as above

    directory = RunDirectory.create(
        parsed.run_dir, name=settings.model_name, overwrite=parsed.overwrite
    )
    workflow.run(
        settings,
        directory,
        source=parsed.data,
        data_dir=parsed.data_dir,
        save_path=parsed.save,
    )


def _evaluate(parsed: argparse.Namespace) -> None:
    from apparel import text, workflow  # noqa: PLC0415  # --help has no time for it

    evaluation = workflow.evaluate_run(parsed.run, source=parsed.data, data_dir=parsed.data_dir)
    print(text.metric_lines(evaluation), evaluation.report, sep="\n\n")


def _predict(parsed: argparse.Namespace) -> None:
    from apparel import text, workflow  # noqa: PLC0415  # --help has no time for it

    predictions = workflow.predict_files(parsed.model, parsed.images, output=parsed.output)
    print(text.prediction_table(predictions))


def _export(parsed: argparse.Namespace) -> None:
    from apparel import workflow  # noqa: PLC0415  # --help has no time for it

    print(f"Model saved to {workflow.export_run(parsed.run, parsed.format, parsed.output)}")


def _os_message(error: OSError) -> str:
    """Say which file could not be used and why."""
    place = f"{error.filename}: " if error.filename else ""
    advice = ". Free some space and try again" if error.errno == errno.ENOSPC else ""
    return f"{place}{error.strerror or error}{advice}"


def _fail(message: str, code: int, *, debug: bool) -> int:
    """Say in one line what went wrong; give back the exit code."""
    if debug:
        traceback.print_exc()
    print(f"apparel: {message}", file=sys.stderr)
    return code
