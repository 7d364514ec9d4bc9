"""Write docs/command.md from the command's own help."""

import os
from pathlib import Path

os.environ["COLUMNS"] = "80"  # argparse wraps to the terminal, and a page has none

from apparel.cli import arguments  # the width comes first

INTRODUCTION = """\
# The command

Made from `apparel --help` by `make docs`; a test compares them.

Results go to standard output, progress and errors to standard error. An error is one line;
`--debug` adds a traceback.
"""


def main() -> None:
    """Write the page."""
    parser = arguments.parser()
    commands = next(action.choices for action in parser._actions if action.dest == "command")  # noqa: SLF001  # argparse lists its subparsers nowhere else
    sections = [
        f"## `{p.prog}`\n\n```text\n{p.format_help()}```\n" for p in (parser, *commands.values())
    ]
    page = "\n".join([INTRODUCTION, *sections])
    Path(__file__).parent.parent.joinpath("docs", "command.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
