"""What a server does under load: how much, how fast, for how long, and how it ends."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import uvloop

from benchmarks.serving.client import Answers, load, offer
from benchmarks.serving.server import Server

OK, BUSY = 200, 503
Measured = dict[str, Any]


def peak(server: Server, request: bytes, *, connections: int, seconds: float) -> Measured:
    """Answers a second, where each connection asks again as soon as it is answered."""
    uvloop.run(load(server.port, request, connections=connections, seconds=min(seconds, 2)))
    answers = uvloop.run(load(server.port, request, connections=connections, seconds=seconds))
    return {
        "connections": connections,
        "per_second": round(answers.rate(), 1),
        "p50_ms": round(answers.percentile(50), 2),
        "p99_ms": round(answers.percentile(99), 2),
        "others": _others(answers),
    }


def soak(server: Server, request: bytes, *, requests: int, warm_up: int) -> Measured:
    """Memory and descriptors after many requests, against those after the first."""
    uvloop.run(load(server.port, request, connections=16, requests=warm_up))
    time.sleep(1)
    before, descriptors = server.resident_mb(), server.descriptors()
    answers = uvloop.run(load(server.port, request, connections=16, requests=requests - warm_up))
    time.sleep(1)  # for connections to be seen as closed
    after = server.resident_mb()
    return {
        "requests": requests,
        "resident_mb": round(after, 1),
        "rise_mb": round(after - before, 1),
        "descriptors_left": server.descriptors() - descriptors,
        "others": _others(answers),
    }


def overload(server: Server, request: bytes, *, factor: float, seconds: float) -> Measured:
    """What becomes of so many times as many requests as a server can answer.

    Its peak is measured before and after, as a machine's speed drifts.
    """
    before = _most(server, request, min(seconds, 10))
    answers = uvloop.run(
        offer(server.port, request, rate=factor * before, connections=500, seconds=seconds)
    )
    after = _most(server, request, min(seconds, 10))
    return {
        "peak_before_per_second": round(before, 1),
        "peak_after_per_second": round(after, 1),
        "offered_per_second": round(factor * before, 1),
        "sent_per_second": round(sum(answers.counts.values()) / answers.elapsed, 1),
        "answered_per_second": round(answers.rate(), 1),
        "answered_share_of_peak": round(answers.rate() / ((before + after) / 2), 3),
        "refused": answers.counts[BUSY],
        "busy_p50_ms": round(answers.percentile(50, BUSY), 2),
        "busy_p99_ms": round(answers.percentile(99, BUSY), 2),
        "busy_max_ms": round(answers.percentile(100, BUSY), 2),
        "others": _others(answers) - answers.counts[BUSY],
        "lost": answers.lost,
    }


def overloads(
    server: Server, request: bytes, *, factor: float, seconds: float, times: int
) -> Measured:
    """The same some times: the one in the middle, with the worst of all where nothing may go wrong.

    A machine whose speed drifts within one gives any share.
    """
    runs = [overload(server, request, factor=factor, seconds=seconds) for _ in range(times)]
    runs.sort(key=lambda run: float(run["answered_share_of_peak"]))
    worst = {key: max(run[key] for run in runs) for key in ("busy_p99_ms", "others", "lost")}
    shares = [run["answered_share_of_peak"] for run in runs]
    return {**runs[times // 2], **worst, "answered_shares": shares}


def _most(server: Server, request: bytes, seconds: float) -> float:
    """Answers a second, with as many connections as give most."""
    return max(
        uvloop.run(load(server.port, request, connections=n, seconds=seconds)).rate()
        for n in (16, 64, 256)
    )


def terminations(
    start: Callable[[], AbstractContextManager[Server]], request: bytes, *, times: int
) -> Measured:
    """End servers under load, and count requests that were taken and not answered."""
    lost = answered = failed = 0
    longest = 0.0
    for turn in range(times):
        with start() as server:
            answers, seconds = uvloop.run(_end_under_load(server, request, 0.2 + 0.01 * turn))
            lost += answers.lost
            answered += answers.counts[OK]
            failed += _others(answers) + (server.process.returncode != 0)
            longest = max(longest, seconds)
    return {
        "terminations": times,
        "answered": answered,
        "lost": lost,
        "failed": failed,
        "longest_s": round(longest, 2),
    }


async def _end_under_load(server: Server, request: bytes, after: float) -> tuple[Answers, float]:
    """Send SIGTERM while requests come; tell what became of them, and how long it took."""
    asking = asyncio.create_task(load(server.port, request, connections=8, seconds=after + 3))
    await asyncio.sleep(after)
    begin = time.perf_counter()
    server.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(server.process.wait, 10)
    seconds = time.perf_counter() - begin
    return await asking, seconds


def _others(answers: Answers) -> int:
    """Answers of another status than 200."""
    return sum(answers.counts.values()) - answers.counts[OK]
