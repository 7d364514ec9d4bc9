"""Ctrl-C and SIGTERM: let a training step end first, and let a command say how it ended."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """Somebody asked the process to end, by SIGTERM; no error, and nothing takes it for one."""


class StopRequest:
    """Whether somebody wants training to stop, and how.

    Attributes:
        signal: the number of the signal that asked for it; None while nobody did.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def obey(self) -> None:
        """Stop here if somebody wants that.

        Raises:
            KeyboardInterrupt: somebody pressed Ctrl-C.
            Terminated: somebody sent SIGTERM.
        """
        wanted, self.signal = self.signal, None
        if wanted == signal.SIGINT:
            raise KeyboardInterrupt
        if wanted is not None:
            raise Terminated


@contextmanager
def signals_held() -> Iterator[StopRequest]:
    """Turn Ctrl-C and SIGTERM into a request, to be obeyed where nothing is half done.

    The second signal is not held back: it ends the block wherever it is. A request that nobody has
    obeyed is obeyed at the end of the block. Outside of the main thread, signals are left as they
    are.

    Yields:
        The request.

    Raises:
        KeyboardInterrupt: somebody pressed Ctrl-C.
        Terminated: somebody sent SIGTERM.
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
    """Turn SIGTERM into `Terminated`, so that what is open is closed and a run says how it ended.

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
