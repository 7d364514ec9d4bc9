"""The arguments of the command, with their help."""

import argparse

from apparel._version import __version__
from apparel.cli.arguments.base import Parser
from apparel.cli.arguments.looks import add_check, add_compare, add_evaluate, add_further_looks
from apparel.cli.arguments.training import add_resume, add_run, add_tune
from apparel.cli.arguments.use import add_export, add_predict, add_serve

__all__ = ["parser"]


def parser() -> argparse.ArgumentParser:
    """Describe the command."""
    top = Parser(
        prog="apparel",
        description="Turn labelled small images into a trained, tested, explained classifier.",
        epilog="Exit codes: 0 done, 1 failed, or checked and not clean, 2 wrong usage, 3 bad input "
        "data, 4 bad model file, 5 could not get the data, 130 interrupted, 143 terminated.",
    )
    top.add_argument("--version", action="version", version=f"apparel {__version__}")
    common = Parser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show a traceback on errors")
    commands = top.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    add_run(commands, common)
    add_resume(commands, common)
    add_tune(commands, common)
    add_evaluate(commands, common)
    add_compare(commands, common)
    add_check(commands, common)
    add_further_looks(commands, common)
    add_predict(commands, common)
    add_serve(commands, common)
    add_export(commands, common)
    return top
