"""The command line: arguments, the command's own module, exit code."""

import errno
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from apparel.cli.arguments import parser
from apparel.core.errors import ApparelError
from apparel.core.messages import verbose
from apparel.core.signals import Terminated

# 128 and the number of the signal, as shells have it.
_STOPPED = {KeyboardInterrupt: ("interrupted", 130), Terminated: ("terminated", 143)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the words after the command's name; by default those of the process.

    Returns:
        The exit code: 0 done, 1 failed, or checked and not clean, 2 wrong usage, 3 bad input data,
        4 bad model file, 5 could not get the data, 130 interrupted, 143 terminated.
    """
    parsed = parser().parse_args(arguments)
    code = 0
    try:
        if parsed.command in {"run", "tune"} and parsed.ray is None:
            # Before Keras is imported, which takes seconds.
            importlib.import_module("apparel.data.loading").check_source(parsed.data)
        # Imported late: --help must not load TensorFlow. Several seeds have their own module.
        name = "seeds" if getattr(parsed, "seeds", None) is not None else parsed.command
        with verbose():
            code = importlib.import_module(f"apparel.cli.{name}").main(parsed) or 0
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
            "comes with the training extra: pip install 'apparel[cpu]'"
        )
        return _fail(message, 1, debug=parsed.debug)
    except Exception as error:  # noqa: BLE001  # a defect still ends in one line, unless asked
        message = f"unexpected {type(error).__name__}: {error}. --debug shows where"
        return _fail(message, 1, debug=parsed.debug)
    return code


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
