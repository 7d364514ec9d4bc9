"""A client that asks as fast as an HTTP server on this machine answers, and counts what it gets.

It knows just enough of HTTP/1.1 to read the answers of `apparel serve`: a status line, headers with
Content-Length, a body. A request is a few bytes that are made once, so that the client takes as
little time as possible from the server beside it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

HOST = "127.0.0.1"  # never another: this is for servers on this machine


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
        """Count one."""
        self.seconds.setdefault(status, []).append(seconds)

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


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    """Read one answer.

    Returns:
        Its status, whether the connection stays open, and the body.

    Raises:
        OSError: the connection ended before it.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("the answer is cut") from error
    return int(head[9:12]), b"connection: close" not in lower, body


async def ask_on(
    port: int, request: bytes, answers: Answers, goes_on: Callable[[], bool], pause: float
) -> None:
    """Ask again and again on one connection, or a new one where it was closed."""
    writer: asyncio.StreamWriter | None = None
    while goes_on():
        if writer is None:
            try:
                reader, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                answers.refused += 1
                await asyncio.sleep(0.05)
                continue
        begin = time.perf_counter()
        try:
            writer.write(request)
            status, stays, _ = await read_answer(reader)
        except OSError:
            answers.lost += 1
            stays = False
        else:
            answers.add(status, time.perf_counter() - begin)
        if not stays:
            writer.close()
            writer = None
        if pause:
            await asyncio.sleep(pause)
    if writer is not None:
        writer.close()


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
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = [
        await asyncio.open_connection(HOST, port) for _ in range(connections)
    ]
    opened = list(free)
    under_way: set[asyncio.Task[None]] = set()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = time.perf_counter()
        try:
            status, stays, _ = await read_answer(reader)
        except OSError:
            answers.lost += 1
            return
        answers.add(status, time.perf_counter() - sent)
        if stays:
            free.append((reader, writer))

    begin, n_sent = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begin) < seconds:
        while n_sent < rate * elapsed:
            n_sent += 1
            if not free:
                answers.refused += 1
                continue
            reader, writer = free.pop()
            writer.write(request)
            task = asyncio.create_task(ask(reader, writer))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.sleep(0.001)
    answers.elapsed = time.perf_counter() - begin
    if under_way:
        await asyncio.wait(under_way, timeout=30)
    answers.lost += len(under_way)
    for _, writer in opened:
        writer.close()
    return answers


async def load(
    port: int,
    request: bytes,
    *,
    connections: int,
    seconds: float | None = None,
    requests: int | None = None,
    pause: float = 0.0,
) -> Answers:
    """Send requests on several connections at once, each as soon as the last is answered.

    Args:
        port: of the server.
        request: what to send.
        connections: how many.
        seconds: how long; or
        requests: how many in all.
        pause: seconds between an answer and the next request of a connection.
    """
    answers = Answers()
    begin, left = time.perf_counter(), requests

    def goes_on() -> bool:
        nonlocal left
        if left is not None:
            left -= 1
            return left >= 0
        return time.perf_counter() - begin < (seconds or 0)

    await asyncio.gather(
        *(ask_on(port, request, answers, goes_on, pause) for _ in range(connections))
    )
    answers.elapsed = time.perf_counter() - begin
    return answers
