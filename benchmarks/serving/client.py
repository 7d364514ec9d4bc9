"""A client that asks as fast as an HTTP server on this machine answers, and counts what it gets.

It knows just enough of HTTP/1.1 to read the answers of `apparel serve`: a status line, headers with
Content-Length, a body. A request is a few bytes that are made once, so that the client takes as
little time as possible from the server beside it.
"""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

HOST = "127.0.0.1"  # never another: this is for servers on this machine
# For answers that are under way when the time is over.
LAST_SECONDS = 10.0


@dataclass
class Answers:
    """What came back.

    Attributes:
        seconds: that each answer took, by status.
        lost: requests that were sent in whole and got no answer.
        refused: connections that could not be made.
        elapsed: seconds from the first request to the last answer.
    """

    seconds: dict[int, list[float]] = field(default_factory=dict)
    lost: int = 0
    refused: int = 0
    elapsed: float = 0.0

    def add(self, status: int, seconds: float) -> None:
        """Count an answer; a status of 0 is none."""
        if status:
            self.seconds.setdefault(status, []).append(seconds)
        else:
            self.lost += 1

    @property
    def counts(self) -> Counter[int]:
        """How many answers, by status."""
        return Counter({status: len(times) for status, times in self.seconds.items()})

    def rate(self, status: int = 200) -> float:
        """Answers a second."""
        return len(self.seconds.get(status, ())) / self.elapsed

    def percentile(self, q: float, status: int = 200) -> float:
        """Milliseconds that so many per cent of the answers stay below."""
        return float(np.percentile(self.seconds.get(status, [0.0]), q) * 1000)


def post(path: str, body: bytes, content_type: str) -> bytes:
    """A request, ready to be sent."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


# Is told of each answer: its connection, its status, the seconds that it took.
Answered: TypeAlias = Callable[["Connection", int, float], None]


class Connection(asyncio.Protocol):
    """A connection that sends one request at a time, and tells of each answer.

    Much faster than asyncio's streams, whose time would be taken from the server beside it.

    Attributes:
        is_open: whether it can send.
    """

    def __init__(
        self, request: bytes, answered: Callable[["Connection", int, float], None]
    ) -> None:
        """Make one; it connects when asyncio says so.

        Args:
            request: what to send.
            answered: is told of each answer: its status, 0 where the connection ended without one,
                and the seconds that it took.
        """
        self._request = request
        self._answered = answered
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._sent: float | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self._transport = transport
        self.is_open = True

    def send(self) -> None:
        """Send the request."""
        self._sent = time.perf_counter()
        if self._transport is not None:
            self._transport.write(self._request)

    def close(self) -> None:
        """End."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is whole."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        self._received = b""
        if b"connection: close" in lower:
            self.close()
        self._tell(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's
        """Tell of a request without an answer."""
        self.is_open = False
        self._tell(0)

    def _tell(self, status: int) -> None:
        if self._sent is not None:
            sent, self._sent = self._sent, None
            self._answered(self, status, time.perf_counter() - sent)


async def connect(port: int, request: bytes, answered: Answered) -> Connection:
    """Open a connection.

    Raises:
        OSError: it cannot be opened.
    """
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(request, answered), HOST, port)
    return connection


async def load(
    port: int,
    request: bytes,
    *,
    connections: int,
    seconds: float = math.inf,
    requests: int | None = None,
    pause: float = 0.0,
) -> Answers:
    """Send requests on several connections at once, each as soon as the last is answered.

    Args:
        port: of the server.
        request: what to send.
        connections: how many.
        seconds: how long.
        requests: how many in all; None for as many as there is time for.
        pause: seconds between an answer and the next request of a connection.
    """
    begin = time.perf_counter()
    shared = _Load(port, request, begin + seconds, requests, pause)
    askers = [_Asker(shared) for _ in range(connections)]
    await asyncio.gather(*(asker.ended for asker in askers))
    shared.answers.elapsed = time.perf_counter() - begin
    return shared.answers


class _Load:
    """What the connections of a load share."""

    def __init__(
        self, port: int, request: bytes, end: float, requests: int | None, pause: float
    ) -> None:
        self.port, self.request, self.pause = port, request, pause
        self.answers = Answers()
        self._end = end
        self._left = math.inf if requests is None else requests

    def takes_one(self) -> bool:
        """Whether another request may be sent; if so, it counts."""
        self._left -= 1
        return self._left >= 0 and time.perf_counter() < self._end


class _Asker:
    """Asks again and again, on one connection, or on a new one where it was closed."""

    def __init__(self, shared: _Load) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._connecting: asyncio.Task[None] | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._go_on(None)

    def _go_on(self, connection: Connection | None) -> None:
        if self.ended.done():
            return
        if connection is None or not connection.is_open:
            self._connecting = self._loop.create_task(self._connect())
        elif self._shared.takes_one():
            connection.send()
        else:
            self.ended.set_result(None)
            connection.close()

    async def _connect(self) -> None:
        try:
            connection = await connect(self._shared.port, self._shared.request, self._answered)
        except OSError:
            self._shared.answers.refused += 1
            await asyncio.sleep(0.05)
            connection = None
            if not self._shared.takes_one():
                self.ended.set_result(None)
        self._go_on(connection)

    def _answered(self, connection: Connection, status: int, seconds: float) -> None:
        self._shared.answers.add(status, seconds)
        self._loop.call_later(self._shared.pause, self._go_on, connection)


async def offer(
    port: int, request: bytes, *, rate: float, connections: int, seconds: float
) -> Answers:
    """Send so many requests a second, whether or not earlier ones are answered.

    Each goes out on a connection that is free. Where none is, it is not sent, and counts as
    `refused`.

    Args:
        port: of the server.
        request: what to send.
        rate: requests a second.
        connections: how many there are.
        seconds: how long.
    """
    answers = Answers()

    def answered(connection: Connection, status: int, took: float) -> None:
        answers.add(status, took)
        if connection.is_open:
            free.append(connection)

    opened = [await connect(port, request, answered) for _ in range(connections)]
    free = deque(opened)  # each in its turn, so that none stays idle until it is closed
    begin, n_offered = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begin) < seconds:
        due = int(rate * elapsed) - n_offered
        n_offered += due
        for _ in range(min(due, len(free))):
            free.popleft().send()
            due -= 1
        answers.refused += due
        await asyncio.sleep(0.001)
    answers.elapsed = elapsed
    last = time.perf_counter()
    while len(free) < sum(c.is_open for c in opened) and time.perf_counter() - last < LAST_SECONDS:
        await asyncio.sleep(0.01)
    for connection in opened:
        connection.close()
    await asyncio.sleep(0.1)  # what has no answer by now is told as lost
    return answers
