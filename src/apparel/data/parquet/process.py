"""A Parquet file, read in a process of its own.

A file that crashes it, hangs it or wants too much memory is refused, and nothing else is lost.
What the process answers is read as JSON and bytes, and never unpickled: it may be no longer ours.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context
from pathlib import Path

from apparel.core.errors import ApparelError, DataError
from apparel.data.decode.pixels import STDERR
from apparel.data.decode.processes import fresh_start
from apparel.data.parquet.file import Facts, ParquetTable, lacking

# Beyond what the process takes when it has just begun: room for a small table, and for all copies
# that a large one needs.
SPARE_BYTES, BYTES_A_BYTE = 96 << 20, 8
# An answer is waited for: so long, and longer for large files.
SECONDS, BYTES_A_SECOND = 10.0, 5_000_000
# Loading pyarrow from a slow disk.
START_SECONDS = 120.0
# The place of a process's data among the numbers that Linux tells of its memory.
_DATA = 5


class ParquetReader:
    """Asks the process.

    Attributes:
        facts: of the table.
    """

    def __init__(self, path: Path, pipe: connection.Connection) -> None:
        """Wait for the process to open the file.

        Args:
            path: of the file.
            pipe: to the process.

        Raises:
            DataError: it is no table of images, or reading it ends the process.
            ApparelError: pyarrow is not installed.
        """
        self._path, self._pipe = path, pipe
        self._seconds = SECONDS + path.stat().st_size / BYTES_A_SECOND
        self._answer(START_SECONDS)
        told = json.loads(self._answer(self._seconds))
        self.facts = Facts(*told)

    def images(self, group: int) -> list[bytes]:
        """Read the encoded images of a group of rows.

        Raises:
            DataError: the group is damaged, or reading it ends the process.
        """
        with suppress(OSError):  # of a process that has ended; the answer tells
            self._pipe.send_bytes(str(group).encode())
        sizes = json.loads(self._answer(self._seconds))
        content = memoryview(self._answer(self._seconds))
        found, at = [], 0
        for size in sizes:
            found.append(bytes(content[at : at + size]))
            at += size
        return found

    def _answer(self, seconds: float) -> bytes:
        """Wait for an answer.

        Raises:
            DataError: the process says so, or gives none.
            ApparelError: pyarrow is not installed.
        """
        try:
            if not self._pipe.poll(seconds):
                raise self._refused(f"takes longer than {seconds:.0f} seconds to read")
            kind, answer = self._pipe.recv_bytes(), self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._refused("kills the process that reads it") from error
        if kind == _BAD:
            raise DataError(answer.decode())
        if kind == _LACKS:
            raise ApparelError(answer.decode())
        return answer

    def _refused(self, why: str) -> DataError:
        return DataError(
            f"{self._path} {why}: expected was a Parquet file of encoded images and labels, but it "
            "is damaged. Write it again."
        )


@contextmanager
def reading(path: Path) -> Iterator[ParquetReader]:
    """Read a file in a process that ends with the block.

    Yields:
        What asks the process.

    Raises:
        DataError: it is no table of images, or reading it ends the process.
        ApparelError: pyarrow is not installed.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, str(path)), daemon=True)
    with fresh_start():
        process.start()
    theirs.close()
    try:
        yield ParquetReader(path, ours)
    finally:
        ours.close()
        process.kill()
        process.join()


_GOOD, _BAD, _LACKS = b"g", b"b", b"l"


def _serve(pipe: connection.Connection, name: str) -> None:
    """Answer until nobody asks any more."""
    path = Path(name)
    with suppress(EOFError, OSError):
        try:
            import pyarrow as pa  # noqa: PLC0415  # an extra
            from pyarrow import parquet  # noqa: F401, PLC0415  # so that it is not read under the limit
        except ImportError:
            _send(pipe, _LACKS, lacking(path).encode())
            return
        _send(pipe, _GOOD, b"")
        pa.set_memory_pool(pa.system_memory_pool())  # others reserve gigabytes at once
        pa.set_cpu_count(1)  # the images are decoded by all processors; reading takes one
        pa.set_io_thread_count(1)
        _limit_memory(SPARE_BYTES + BYTES_A_BYTE * path.stat().st_size)
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # what C++ prints when it ends
            os.dup2(nowhere.fileno(), STDERR)
        try:
            table = ParquetTable(path)
            _send(pipe, _GOOD, json.dumps(table.facts()).encode())
            while True:
                images = table.images(int(pipe.recv_bytes()))
                _send(pipe, _GOOD, json.dumps(_sizes(images)).encode())
                _send(pipe, _GOOD, b"".join(images))
        except DataError as error:
            _send(pipe, _BAD, str(error).encode(errors="replace"))
        except MemoryError:
            _send(pipe, _BAD, f"{path} wants more memory than such a file needs.".encode())


def _sizes(images: Sequence[bytes]) -> list[int]:
    return [len(image) for image in images]


def _send(pipe: connection.Connection, kind: bytes, answer: bytes) -> None:
    pipe.send_bytes(kind)
    pipe.send_bytes(answer)


def _limit_memory(n_bytes: int) -> None:
    """Let this process take so much more memory, where the system can tell.

    What counts is memory that can be written to: threads reserve far more than they use.
    """
    try:
        import resource  # noqa: PLC0415  # not on Windows

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[_DATA])
    except (ImportError, OSError):
        return
    limit = pages * resource.getpagesize() + n_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
