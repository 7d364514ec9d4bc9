"""The command line: arguments in, calls out. Nothing is decided here."""

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from apparel.cli.arguments import parser, settings_of
from apparel.core import recipes
from apparel.core.atomic_files import check_writable
from apparel.core.errors import ApparelError, DataError, UsageError
from apparel.core.model_formats import format_of
from apparel.core.signals import Terminated
from apparel.core.validation import parse_time
from apparel.serve.limits import Limits

# 128 and the number of the signal, as shells have it.
_STOPPED = {KeyboardInterrupt: ("interrupted", 130), Terminated: ("terminated", 143)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: what follows the command's name; by default those of the process.

    Returns:
        The exit code: 0 done, 1 failed, or checked and not clean, 2 wrong usage, 3 bad input data,
        4 bad model file, 5 could not get the data, 130 interrupted, 143 terminated.
    """
    parsed = parser().parse_args(arguments)
    code = 0
    try:
        code = _HANDLERS[parsed.command](parsed) or 0
        sys.stdout.flush()
    except (KeyboardInterrupt, Terminated) as stop:
        word, code = _STOPPED[type(stop)]
        return _fail(word, code, debug=parsed.debug)
    except ApparelError as error:
        return _fail(str(error), error.exit_code, debug=parsed.debug)
    except BrokenPipeError:
        # The reader, such as head, has seen enough; nothing more may be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        return _fail(_os_message(error), 1, debug=parsed.debug)
    except ModuleNotFoundError as error:
        message = (
            f"apparel {parsed.command} needs the package {error.name}, which is not installed. It "
            "belongs to what trains and tests: pip install 'apparel[cpu]'"
        )
        return _fail(message, 1, debug=parsed.debug)
    except Exception as error:  # noqa: BLE001  # a defect still ends in one line, unless asked
        message = f"unexpected {type(error).__name__}: {error}. --debug shows where"
        return _fail(message, 1, debug=parsed.debug)
    return code


def _run(parsed: argparse.Namespace) -> None:
    settings = settings_of(parsed)
    recipes.check(settings)
    if parsed.save:
        format_of(parsed.save)
        check_writable(parsed.save)
    from apparel.cli import starting  # noqa: PLC0415  # --help has no time for it

    starting.start(
        settings,
        source=parsed.data,
        data_dir=parsed.data_dir,
        save_path=parsed.save,
        run_dir=parsed.run_dir,
        overwrite=parsed.overwrite,
        n_seeds=parsed.seeds,
        n_workers=parsed.workers,
        address=parsed.ray,
    )


def _tune(parsed: argparse.Namespace) -> None:
    from apparel.runs.search_folder import Asked  # noqa: PLC0415  # --help has no time for it

    asked = Asked(
        source=parsed.data,
        data_dir=str(parsed.data_dir) if parsed.data_dir else None,
        budget=parse_time("--budget", parsed.budget),
        trials=parsed.trials,
        seed=parsed.seed,
        limit=parsed.limit,
        ray=parsed.ray,
    )
    from apparel.cli import tune  # noqa: PLC0415  # as above

    tune.tune(asked, parsed.run_dir)


def _resume(parsed: argparse.Namespace) -> None:
    from apparel.cli import resume  # noqa: PLC0415  # --help has no time for it

    resume.resume(parsed.run, source=parsed.data, data_dir=parsed.data_dir, address=parsed.ray)


def _evaluate(parsed: argparse.Namespace) -> None:
    from apparel.cli import workflow  # noqa: PLC0415  # --help has no time for it
    from apparel.reporting import text  # noqa: PLC0415  # --help has no time for it

    evaluation = workflow.evaluate_run(parsed.run, source=parsed.data, data_dir=parsed.data_dir)
    print(
        text.metric_lines(evaluation),
        evaluation.report,
        text.calibration_lines(evaluation),
        sep="\n\n",
    )


def _compare(parsed: argparse.Namespace) -> None:
    from apparel.cli import workflow  # noqa: PLC0415  # --help has no time for it
    from apparel.reporting import text  # noqa: PLC0415  # --help has no time for it

    print(text.comparison(workflow.compare_runs(parsed.runs)))


def _check(parsed: argparse.Namespace) -> int:
    # Images that cannot be read are reported, however many there are.
    settings = settings_of(parsed, max_bad=1.0)
    from apparel.cli import workflow  # noqa: PLC0415  # --help has no time for it

    is_clean = workflow.check_source(
        parsed.source,
        settings,
        data_dir=parsed.data_dir,
        output=parsed.output,
        table=parsed.fix,
    ).is_clean
    return 0 if is_clean else 1


def _stress(parsed: argparse.Namespace) -> None:
    from apparel.cli import workflow  # noqa: PLC0415  # --help has no time for it
    from apparel.reporting import text  # noqa: PLC0415  # --help has no time for it

    robustness = workflow.stress_run(parsed.run, data_dir=parsed.data_dir)
    print(text.robustness_lines(robustness))


def _suspects(parsed: argparse.Namespace) -> None:
    from apparel.cli import workflow  # noqa: PLC0415  # --help has no time for it
    from apparel.reporting import text  # noqa: PLC0415  # --help has no time for it

    for found in workflow.find_suspects(parsed.run, data_dir=parsed.data_dir):
        print(text.suspect_lines(found))


def _report(parsed: argparse.Namespace) -> None:
    from apparel.cli import workflow  # noqa: PLC0415  # --help has no time for it

    print(f"Report: {workflow.write_report(parsed.run, data_dir=parsed.data_dir)}")


def _predict(parsed: argparse.Namespace) -> int:
    if parsed.ray is not None:
        if parsed.explain:
            raise UsageError("--explain makes pictures on this machine. Leave it or --ray out.")
        from apparel.scale.predict import predict_at_scale  # noqa: PLC0415  # --help has no time for it

        n_failed = predict_at_scale(
            parsed.model,
            parsed.images,
            address=parsed.ray,
            output=parsed.output,
            raw=parsed.raw,
            exact=parsed.exact,
        )
        return DataError.exit_code if n_failed else 0
    from apparel.cli.predict import predict_files  # noqa: PLC0415  # --help has no time for it

    n_failed = predict_files(
        parsed.model,
        parsed.images,
        raw=parsed.raw,
        exact=parsed.exact,
        top=parsed.top_k,
        threshold=parsed.threshold,
        output=parsed.output and Path(parsed.output),
        explain=parsed.explain,
        data_dir=parsed.data_dir,
    )
    return DataError.exit_code if n_failed else 0


def _export(parsed: argparse.Namespace) -> None:
    from apparel.cli.export import export_run  # noqa: PLC0415  # as above
    from apparel.reporting import text  # noqa: PLC0415  # --help has no time for it

    exported = export_run(
        parsed.run,
        parsed.format,
        output=parsed.output,
        int8=parsed.int8,
        data_dir=parsed.data_dir,
    )
    print(f"Model saved to {exported.path}\n{text.export_lines(exported)}")


def _serve(parsed: argparse.Namespace) -> None:
    from apparel.serve.server import Address, serve  # noqa: PLC0415  # --help has no time for it

    serve(
        parsed.model,
        Address(
            host=parsed.host,
            port=parsed.port,
            allowed_hosts=parsed.allow_host,
            allowed_origins=parsed.allow_origin,
            token=os.environ.get("APPAREL_TOKEN") if parsed.token is None else parsed.token,
            insecure=parsed.insecure,
        ),
        Limits(
            body_bytes=parsed.max_body,
            held_bytes=max(parsed.max_body, Limits.held_bytes),
            images=parsed.max_images,
            pixels=parsed.max_pixels,
            read_seconds=parsed.read_timeout,
            answer_seconds=parsed.answer_timeout,
            connections=parsed.max_connections,
            queue=parsed.queue,
        ),
        exact=parsed.exact,
    )


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


_HANDLERS: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "run": _run,
    "resume": _resume,
    "tune": _tune,
    "evaluate": _evaluate,
    "compare": _compare,
    "check": _check,
    "stress": _stress,
    "suspects": _suspects,
    "report": _report,
    "predict": _predict,
    "serve": _serve,
    "export": _export,
}
