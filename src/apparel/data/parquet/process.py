"""Parquet files, read in a subprocess.

A file that crashes or hangs it, or makes it exceed its memory, is refused, and nothing else is
lost. The answers of the subprocess are JSON and bytes and never unpickled: a hostile file may have
taken it over.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from apparel.core.errors import ApparelError, DataError, DataUnavailableError
from apparel.data.inputs.shards import Footer, RowShard

if TYPE_CHECKING:  # most images are in no table
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

# To wait for an answer, with the start of the process.
SECONDS = 120.0
# Memory for a file, beyond that in use before: room for a small one, and for copies of pages.
SPARE_BYTES, BYTES_A_BYTE, MOST_BYTES = 96 << 20, 8, 1 << 30
_CONTENT_FOLLOWS, _END = b"null", b"[]"


class ParquetProcess:
    """Asks a subprocess, which starts with the first question and ends with the block."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> "ParquetProcess":
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def footer(self, place: str) -> Footer:
        """See `RowReader`."""
        (answer,) = self._ask("footer", place)
        group_rows, digest = json.loads(answer)
        return Footer([int(n) for n in group_rows], str(digest))

    def labels(self, path: Path) -> Iterator[list[str]]:
        """See `ParquetReader`."""
        for answer in self._ask("labels", str(path)):
            yield [str(label) for label in json.loads(answer)]

    def images(self, shard: RowShard) -> Iterator[list[bytes]]:
        """See `RowReader`."""
        answers = self._ask("images", shard.place, *shard.groups, shard.skipped, shard.n_images)
        for sizes in answers:
            content, at, found = memoryview(next(answers)), 0, []
            for size in json.loads(sizes):
                found.append(bytes(content[at : at + size]))
                at += size
            yield found

    def _ask(self, kind: str, place: str, *numbers: int) -> Iterator[bytes]:
        """Ask one question at a time, and give the answers.

        Raises:
            ApparelError: of any kind, as the subprocess says; DataError where it says nothing.
        """
        pipe = self._started()
        finished = False
        try:
            pipe.send_bytes(json.dumps([kind, place, *numbers]).encode())
            while True:
                if not pipe.poll(SECONDS):
                    raise _refused(place, f"takes longer than {SECONDS:.0f} seconds to read")
                problem = json.loads(pipe.recv_bytes())
                if problem is not None:
                    finished = problem == []
                    if finished:
                        return
                    raise _as_error(*problem)
                yield pipe.recv_bytes()
        except (EOFError, OSError) as error:
            if isinstance(error, ApparelError):
                raise
            raise _refused(place, "kills the process that reads it") from error
        finally:
            if not finished:
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


def _refused(place: str, why: str) -> DataError:
    return DataError(
        f"{place} {why}: expected was a Parquet file of encoded images, but it is damaged. Write "
        "it again."
    )


def _as_error(kind: str, message: str) -> ApparelError:
    """Make the error that the subprocess met."""
    known: dict[str, type[ApparelError]] = {
        error.__name__: error for error in (ApparelError, DataUnavailableError)
    }
    return known.get(kind, DataError)(message)


def serve(pipe: "Connection") -> None:
    """Answer questions in the subprocess until the pipe is closed."""
    with suppress(ImportError):  # which the answer tells
        import pyarrow as pa  # noqa: PLC0415  # an extra
        from pyarrow import parquet  # noqa: F401, PLC0415  # before memory is limited

        pa.set_memory_pool(pa.system_memory_pool())  # others reserve gigabytes at once
        pa.set_cpu_count(1)  # the images are decoded by all processors; reading takes one
        pa.set_io_thread_count(1)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # C++ prints a message when it ends
        os.dup2(nowhere.fileno(), 2)
    with suppress(EOFError, OSError):
        while True:
            question = json.loads(pipe.recv_bytes())
            _limit_memory(question[1])
            answer(pipe, question)


def answer(pipe: "Connection", question: Sequence[object]) -> None:
    """Answer one question: each content follows `null`; `[]` or a problem ends the answer."""
    end = _END
    try:
        for content in _contents(question):
            pipe.send_bytes(_CONTENT_FOLLOWS)
            pipe.send_bytes(content)
    except ApparelError as error:
        end = json.dumps([type(error).__name__, str(error)]).encode()
    except MemoryError:
        message = f"{question[1]} wants more memory than such a file needs. Write it again."
        end = json.dumps(["DataError", message]).encode()
    pipe.send_bytes(end)


def _contents(question: Sequence[object]) -> Iterator[bytes]:
    from apparel.data.parquet.reader import ParquetReader  # noqa: PLC0415  # in the subprocess only

    reader = ParquetReader()
    match question:
        case ["footer", str(place)]:
            yield json.dumps(reader.footer(place)).encode()
        case ["labels", str(place)]:
            for labels in reader.labels(Path(place)):
                yield json.dumps(labels).encode()
        case ["images", str(place), int(first), int(behind), int(skipped), int(n_images)]:
            shard = RowShard(
                place=place,
                digest="",
                groups=(first, behind),
                skipped=skipped,
                first_row=0,
                n_images=n_images,
            )
            for images in reader.images(shard):
                yield json.dumps([len(image) for image in images]).encode()
                yield b"".join(images)


def _limit_memory(place: str) -> None:
    """Bound the memory that this process may take for a file, where the system can.

    Writable memory counts: threads reserve far more than they use.
    """
    try:
        import resource  # noqa: PLC0415  # not on Windows

        data_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    except (ImportError, OSError):
        return
    try:
        size = BYTES_A_BYTE * os.path.getsize(place)  # noqa: PTH202  # may be a URL
    except (OSError, ValueError):
        size = MOST_BYTES
    limit = data_pages * resource.getpagesize() + SPARE_BYTES + min(size, MOST_BYTES)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
