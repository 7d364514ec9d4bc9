"""A client that asks as fast as an HTTP server on this machine answers, and counts the answers.

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

import numpy as np

HOST = "127.0.0.1"  # never another: this is for servers on this machine
# For answers that are under way when the time is over.
LAST_SECONDS = 10.0


@dataclass
class Answers:
    """The answers to many requests.

    Attributes:
        seconds: duration of each answer, by status.
        lost: requests that were sent in whole and got no answer.
        refused: connections that could not be made, or requests that found none free.
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
        """Number of answers by status."""
        return Counter({status: len(times) for status, times in self.seconds.items()})

    @property
    def others(self) -> int:
        """Number of answers of another status than 200."""
        return sum(self.counts.values()) - self.counts[200]

    def rate(self, status: int = 200) -> float:
        """Answers a second."""
        return len(self.seconds.get(status, ())) / self.elapsed

    def percentile(self, q: float, status: int = 200) -> float:
        """Milliseconds within which so many per cent of the answers came."""
        return float(np.percentile(self.seconds.get(status, [0.0]), q) * 1000)


def post(path: str, body: bytes, content_type: str) -> bytes:
    """Write a request, ready to be sent."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Connection(asyncio.Protocol):
    """A connection that sends one request at a time.

    Much faster than asyncio's streams, whose time would be taken from the server beside it.

    Attributes:
        is_open: whether it can send.
    """

    def __init__(self, request: bytes, answers: Answers, then: Callable[["Connection"], None]):
        """Make a connection, for asyncio to connect.

        Args:
            request: request to send.
            answers: where to count the answers.
            then: function that is called after each answer, or the lack of one.
        """
        self._request, self._answers, self._then = request, answers, then
        self._transport = asyncio.Transport()
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
        self._transport.write(self._request)

    def close(self) -> None:
        """End."""
        self.is_open = False
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is whole."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        if len(body) < int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0]):
            return
        self._received = b""
        if b"connection: close" in lower:
            self.close()
        self._count(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's
        """Count a request without an answer."""
        self.is_open = False
        self._count(0)

    def _count(self, status: int) -> None:
        if self._sent is not None:
            sent, self._sent = self._sent, None
            self._answers.add(status, time.perf_counter() - sent)
            self._then(self)


async def connect(
    port: int, request: bytes, answers: Answers, then: Callable[[Connection], None]
) -> Connection:
    """Open a connection.

    Raises:
        OSError: it cannot be opened.
    """
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(request, answers, then), HOST, port
    )
    return connection


async def load(
    port: int,
    request: bytes,
    *,
    connections: int,
    seconds: float = math.inf,
    requests: float = math.inf,
    pause: float = 0.0,
) -> Answers:
    """Send requests on several connections at once, each as soon as the last is answered.

    Args:
        port: port of the server.
        request: request to send.
        connections: number of connections.
        seconds: duration.
        requests: number of requests in all.
        pause: seconds between an answer and the next request of a connection.
    """
    answers, loop = Answers(), asyncio.get_running_loop()
    begin = time.perf_counter()

    def takes_one() -> bool:
        nonlocal requests
        requests -= 1
        return requests >= 0 and time.perf_counter() - begin < seconds

    async def ask_again() -> None:
        while takes_one():
            ended = loop.create_future()

            def send(connection: Connection) -> None:
                if connection.is_open:
                    connection.send()
                else:
                    ended.set_result(None)  # noqa: B023  # one at a time

            def then(connection: Connection) -> None:
                if connection.is_open and not takes_one():
                    connection.close()
                loop.call_later(pause, send, connection)

            try:
                (await connect(port, request, answers, then)).send()
            except OSError:
                answers.refused += 1
                await asyncio.sleep(0.05)
            else:
                await ended

    await asyncio.gather(*(ask_again() for _ in range(connections)))
    answers.elapsed = time.perf_counter() - begin
    return answers


async def offer(
    port: int, request: bytes, *, rate: float, connections: int, seconds: float
) -> Answers:
    """Send so many requests a second, whether or not earlier ones are answered.

    Each goes out on a connection that is free. Where none is, it is not sent, and counts as
    `refused`.

    Args:
        port: port of the server.
        request: request to send.
        rate: requests a second.
        connections: number of connections.
        seconds: duration.
    """
    answers = Answers()

    def then(connection: Connection) -> None:
        if connection.is_open:
            free.append(connection)

    opened = [await connect(port, request, answers, then) for _ in range(connections)]
    free = deque(opened)  # each in its turn, so that none stays idle until it is closed
    begin, n_offered = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begin) < seconds:
        due = int(rate * elapsed) - n_offered
        n_offered += due
        answers.refused += max(0, due - len(free))
        for _ in range(min(due, len(free))):
            free.popleft().send()
        await asyncio.sleep(0.001)
    answers.elapsed = elapsed
    last = time.perf_counter()
    while len(free) < sum(c.is_open for c in opened) and time.perf_counter() - last < LAST_SECONDS:
        await asyncio.sleep(0.01)
    for connection in opened:
        connection.close()
    await asyncio.sleep(0.1)  # requests without an answer by now count as lost
    return answers
