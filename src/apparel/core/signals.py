"""Ctrl-C and SIGTERM: delayed until a training step ends, and recorded by commands."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """The process received SIGTERM; not an `Exception`, so that no error handler catches it."""


class StopRequest:
    """A request to stop training.

    Attributes:
        signal: number of the signal received; None while there is none.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def obey(self) -> None:
        """Stop here if a signal was received.

        Raises:
            KeyboardInterrupt: it was Ctrl-C.
            Terminated: it was SIGTERM.
        """
        wanted, self.signal = self.signal, None
        if wanted == signal.SIGINT:
            raise KeyboardInterrupt
        if wanted is not None:
            raise Terminated


@contextmanager
def signals_held() -> Iterator[StopRequest]:
    """Turn Ctrl-C and SIGTERM into a request, to be obeyed where nothing is half done.

    A second signal is not delayed: it ends the block wherever it is. A request that is still open
    is obeyed at the end of the block. Outside of the main thread, signals are left as they are.

    Yields:
        The request.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # Python's signature
        if request.signal is not None:
            request.obey()
        request.signal = number

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    request.obey()


@contextmanager
def termination_raised() -> Iterator[None]:
    """Turn SIGTERM into `Terminated`, so that files are closed and a run records how it ended.

    Outside of the main thread, signals are left as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # Python's signature
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
