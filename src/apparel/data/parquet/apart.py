"""Rows of Parquet files, read in a process of their own.

A file that crashes it, hangs it or wants too much memory is refused, and nothing else is lost. What
the process answers is read as JSON and bytes, and never unpickled: it may be no longer ours.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from apparel.core.errors import ApparelError, DataError, DataUnavailableError
from apparel.data.decode.pixels import STDERR
from apparel.data.inputs.parts import Footer, RowPart
from apparel.data.parquet.rows import RowsHere

if TYPE_CHECKING:  # most images are in no table
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

# An answer is waited for: with the start of the process, and from far away.
SECONDS = 120.0
# What pyarrow and some rows of large images take, several times.
MOST_BYTES = 1 << 30
_END = b"null"


class RowsApart:
    """See `ReadsRows`. The process begins with the first question, and ends with the block."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> "RowsApart":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def footer(self, place: str) -> Footer:
        """See `ReadsRows`."""
        (told,) = self._asked(["footer", place], place)
        group_rows, digest = json.loads(told)
        return Footer([int(n) for n in group_rows], str(digest))

    def images(self, part: RowPart) -> Iterator[list[bytes]]:
        """See `ReadsRows`."""
        question = ["images", part.place, *part.groups, part.skipped, part.n_images]
        answers = self._asked(question, part.place)
        for sizes in answers:
            content, at, found = memoryview(next(answers)), 0, []
            for size in json.loads(sizes):
                found.append(bytes(content[at : at + size]))
                at += size
            yield found

    def _asked(self, question: Sequence[object], place: str) -> Iterator[bytes]:
        """Ask, and give the answers. Only one question is asked at a time.

        Raises:
            ApparelError: of any kind, as the process says; DataError where it says nothing.
        """
        pipe = self._started()
        is_through = False
        try:
            pipe.send_bytes(json.dumps(question).encode())
            while True:
                if not pipe.poll(SECONDS):
                    raise DataError(
                        f"{place} takes longer than {SECONDS:.0f} seconds to read: expected was a "
                        "Parquet file of encoded images. Write it again."
                    )
                problem = json.loads(pipe.recv_bytes())
                if problem is not None:
                    is_through = problem == []
                    if is_through:
                        return
                    raise _problem(*problem)
                yield pipe.recv_bytes()
        except (EOFError, OSError) as error:
            if isinstance(error, ApparelError):
                raise
            raise DataError(
                f"{place} kills the process that reads it: expected was a Parquet file of encoded "
                "images, but it is damaged. Write it again."
            ) from error
        finally:
            if not is_through:
                self._end()

    def _started(self) -> "Connection":
        if self._pipe is None:
            from multiprocessing import get_context  # noqa: PLC0415  # for tables only

            from apparel.data.decode.processes import fresh_start  # noqa: PLC0415  # as above

            context = get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=serve, args=(theirs,), daemon=True)
            with fresh_start():
                self._process.start()
            theirs.close()
        return self._pipe

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._pipe = self._process = None


def _problem(kind: str, message: str) -> ApparelError:
    """The error that the process met."""
    known: dict[str, type[ApparelError]] = {
        error.__name__: error for error in (ApparelError, DataUnavailableError)
    }
    return known.get(kind, DataError)(message)


def serve(pipe: "Connection") -> None:
    """Answer until nobody asks any more."""
    _limit_memory()
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # what C++ prints when it ends
        os.dup2(nowhere.fileno(), STDERR)
    with suppress(EOFError, OSError):
        while True:
            answer(pipe, json.loads(pipe.recv_bytes()))


def answer(pipe: "Connection", question: Sequence[object]) -> None:
    """Answer one question: each answer follows `null`, and `[]` or what was wrong ends them."""
    try:
        for content in _answers(question):
            pipe.send_bytes(_END)
            pipe.send_bytes(content)
        problem = []
    except ApparelError as error:
        problem = [type(error).__name__, str(error)]
    except MemoryError:
        problem = ["DataError", f"{question[1]} wants more memory than such a file needs."]
    pipe.send_bytes(json.dumps(problem).encode())


def _answers(question: Sequence[object]) -> Iterator[bytes]:
    match question:
        case ["footer", str(place)]:
            yield json.dumps(RowsHere().footer(place)).encode()
        case ["images", str(place), int(first), int(behind), int(skipped), int(n_images)]:
            part = RowPart(
                place=place,
                digest="",
                groups=(first, behind),
                skipped=skipped,
                first_row=0,
                n_images=n_images,
            )
            for images in RowsHere().images(part):
                yield json.dumps([len(image) for image in images]).encode()
                yield b"".join(images)


def _limit_memory() -> None:
    """Let this process take so much memory and no more, where the system can tell."""
    try:
        import resource  # noqa: PLC0415  # not on Windows
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or hard > MOST_BYTES:
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, hard))
