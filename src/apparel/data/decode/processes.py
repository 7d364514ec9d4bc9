"""Read many image files in several processes, in order, though some files may kill a process."""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, parent_process
from types import ModuleType
from typing import TypeAlias

from PIL import Image

from apparel.core.errors import ApparelError
from apparel.data.decode import tasks as reading
from apparel.data.decode.tasks import Chunk, Task, stacked

# More files that kill their process are the fault of the machine.
MOST_CRASHES = 100
# Tasks a process that wait for it or for their turn: it never idles, and memory stays bounded.
TASKS_AHEAD = 3

Read: TypeAlias = Callable[[Task], Chunk]


def read_in_processes(tasks: Iterable[Task], read: Read, n_processes: int) -> Iterator[Chunk]:
    """Read tasks in several processes.

    Where a process dies, the tasks that were begun are read again file by file, each of which may
    only kill its own process; it is then named like another that cannot be read.

    Args:
        tasks: are taken only a little ahead of those that were read.
        read: `read_task` or a function like it that other processes can import.
        n_processes: number of processes.

    Yields:
        In the order of the tasks, one chunk for each; for a task that was begun when a process
        died, one for each file.

    Raises:
        ApparelError: more than `MOST_CRASHES` files killed their process.
    """
    left = iter(tasks)
    n_crashes = 0
    begun: deque[tuple[Task, Future[Chunk]]] = deque()
    finished = False
    while not finished:
        with suppress(BrokenProcessPool), _processes(n_processes) as start:
            for task in left:
                begun.append((task, start(read, task)))
                if len(begun) > TASKS_AHEAD * n_processes:
                    yield begun[0][1].result()
                    begun.popleft()
            while begun:
                yield begun[0][1].result()
                begun.popleft()
            finished = True
        for chunk in _one_by_one(begun, read):
            n_crashes += chunk.crashed
            if n_crashes > MOST_CRASHES:
                raise ApparelError(
                    f"More than {MOST_CRASHES} files killed the process that reads them; expected "
                    "was that hardly any does. Perhaps there is too little memory, or Pillow is "
                    "installed wrong. Close other programs, or install Pillow again. The last one: "
                    f"{' '.join(chunk.problems.values())}"
                )
            yield chunk
        begun.clear()


def _one_by_one(begun: Iterable[tuple[Task, "Future[Chunk]"]], read: Read) -> Iterator[Chunk]:
    """Read each file of the tasks that have no answer in a process that nothing else is in."""
    left: deque[Task | Chunk] = deque()
    for task, future in begun:
        if future.exception():
            files = zip(task.positions, task.sources, task.names, strict=True)
            left.extend(task._replace(positions=[p], sources=[s], names=[n]) for p, s, n in files)
        else:
            left.append(future.result())
    while left:
        with _processes(1) as start:
            crashed = False
            while left and not crashed:
                item = left.popleft()
                if isinstance(item, Chunk):
                    yield item
                    continue
                try:
                    chunk = start(read, item).result()
                except BrokenProcessPool:
                    chunk = _killed(item)
                crashed = chunk.crashed
                yield chunk


def _killed(task: Task) -> Chunk:
    """Make the result of a file that killed its process."""
    why = (
        f"{task.names[0]} kills the process that reads it: expected was an image, but decoding it "
        "ends the decoder or takes too much memory. Save it again with another program, or leave "
        "it out."
    )
    return Chunk([], [], stacked([]), {task.positions[0]: why}, crashed=True)


@contextmanager
def _processes(n: int) -> Iterator[Callable[[Read, Task], "Future[Chunk]"]]:
    """Start processes that end when the block does, or when this process dies."""
    context = get_context("spawn")  # a fork of a process with threads, as TensorFlow has, may hang
    stop, stopper = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(n, context, _begin, (stop, Image.MAX_IMAGE_PIXELS))

    def start(read: Read, task: Task) -> Future[Chunk]:
        try:
            with fresh_start():
                return pool.submit(read, task)
        except BrokenProcessPool as error:
            failed: Future[Chunk] = Future()
            failed.set_exception(error)
            return failed

    try:
        yield start
    finally:
        # A process that is killed while it answers would leave the pool waiting for the rest of
        # the answer, so each ends by itself, after the file that it is at.
        stopper.close()
        pool.shutdown(cancel_futures=True)
        stop.close()


@contextmanager
def fresh_start() -> Iterator[None]:
    """Start processes that do not run this program's main module, and leave Ctrl-C to this one."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")  # has no file, so there is nothing to run
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _begin(stop: connection.Connection, max_image_pixels: int | None) -> None:
    """Prepare a process for its tasks."""
    Image.MAX_IMAGE_PIXELS = max_image_pixels
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()


def _watch(stop: connection.Connection) -> None:
    """Stop when the main process says so or dies."""
    main = parent_process()
    if main is not None:
        connection.wait([stop, main.sentinel])
        reading.stop.set()
        main.join()
        os._exit(1)
