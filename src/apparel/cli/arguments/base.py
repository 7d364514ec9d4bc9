"""What the arguments of several commands share."""

import argparse
from pathlib import Path
from typing import NoReturn, TypeAlias

from apparel.core.settings import Settings

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001  # it has no other name

SHOWN = "(default: %(default)s)"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong with the arguments, and end with exit code 2."""
        self.exit(2, f"{self.prog}: {message}. See: {self.prog} --help\n")


def add_data(command: argparse.ArgumentParser, *, default: str | None, shown: str) -> None:
    """Add where labelled images come from."""
    command.add_argument(
        "--data",
        default=default,
        metavar="SOURCE",
        help=f"fashion-mnist, or the path of a folder or file with labelled images {shown}",
    )
    add_data_dir(command)


def add_data_dir(command: argparse.ArgumentParser) -> None:
    """Add where the data set's files are."""
    command.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="a folder with the data set's files"
    )


def add_ray(command: argparse.ArgumentParser) -> None:
    """Add where a Ray cluster is."""
    command.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="work on a Ray cluster: the host and port of its head node, auto for one that runs "
        "on this machine, or nothing for one that this command starts here",
    )


def add_seed_and_limit(command: argparse.ArgumentParser) -> None:
    """Add what is random, and how many images are taken."""
    seed = Settings().seed
    add = command.add_argument
    add("--seed", type=int, default=seed, metavar="N", help=f"of everything random {SHOWN}")
    add(
        "--limit",
        type=int,
        metavar="N",
        help="take N stratified images of each split, for a fast try",
    )


def add_image_choice(command: argparse.ArgumentParser) -> None:
    """Add what decides which images of a source are taken, and how."""
    add_seed_and_limit(command)
    default = Settings()
    add = command.add_argument
    add(
        "--test-split",
        type=float,
        default=default.test_split,
        metavar="SHARE",
        help="share of every class that is drawn for testing where the data have no test images "
        f"{SHOWN}",
    )
    add(
        "--image-size",
        type=int,
        metavar="N",
        help="height and width that images in files are brought to (default: their own where all "
        "have the same of at most 64, else the median of their longer sides, and at most 64)",
    )
