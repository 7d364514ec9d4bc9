"""Write docs/command.md from the command's own help."""

import os
from pathlib import Path

from apparel.cli import arguments

PAGE = Path(__file__).parent.parent / "docs" / "command.md"
INTRODUCTION = """\
# The command

Made from `apparel --help` by `make docs`; a test compares them.

Results go to standard output, progress and errors to standard error. An error is one line;
`--debug` adds a traceback.

From Python, `apparel.check`, `compare`, `evaluate`, `report`, `stress`, `suspects` and `tune` do
what the commands of the same names do. Their arguments are named as the options, each returns its
record, and none prints anything: `apparel.evaluate("runs/coats").metrics["accuracy"]`.
`help(apparel.tune)` and the like describe them. `ApparelClassifier` and `apparel.load` do the rest.
"""


def page() -> str:
    """Lay out the page; argparse wraps to a terminal of `COLUMNS` characters."""
    parser = arguments.parser()
    commands = next(action.choices for action in parser._actions if action.dest == "command")  # noqa: SLF001  # argparse lists its subparsers nowhere else
    sections = [
        f"## `{p.prog}`\n\n```text\n{p.format_help()}```\n" for p in (parser, *commands.values())
    ]
    return "\n".join([INTRODUCTION, *sections])


if __name__ == "__main__":
    os.environ["COLUMNS"] = "80"
    PAGE.write_text(page(), encoding="utf-8")
