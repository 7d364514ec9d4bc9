"""The server under load: rate, latency, endurance, overload and end."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

import uvloop

from benchmarks.serving.client import Answers, load, offer
from benchmarks.serving.server import Server

BUSY = 503
# Connections that get most answers: fewer leave processors idle, with more the queue is full.
MOST_ANSWERS_AT = 64
Measured = dict[str, Any]


def peak(server: Server, request: bytes, *, connections: int, seconds: float) -> Measured:
    """Measure answers a second, where each connection asks again as soon as it is answered."""
    uvloop.run(load(server.port, request, connections=connections, seconds=min(seconds, 2)))
    answers = uvloop.run(load(server.port, request, connections=connections, seconds=seconds))
    return {
        "connections": connections,
        "per_second": round(answers.rate(), 1),
        "p50_ms": round(answers.percentile(50), 2),
        "p99_ms": round(answers.percentile(99), 2),
        "others": answers.others,
    }


def soak(server: Server, request: bytes, *, requests: int, warm_up: int) -> Measured:
    """Compare memory and descriptors after many requests with those after the first."""
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
        "others": answers.others,
    }


def overload(
    server: Server, request: bytes, *, factor: float, seconds: float, parts: int
) -> Measured:
    """Send so many times as many requests as the server can answer.

    It is overloaded some times, and its peak measured before and after each, as a machine's speed
    drifts.

    Args:
        server: server to ask.
        request: request to send.
        factor: offered rate as a multiple of the last peak.
        seconds: duration of all overloads together.
        parts: number of overloads.
    """
    part = seconds / parts

    def most() -> float:
        found = peak(server, request, connections=MOST_ANSWERS_AT, seconds=part / 2)
        return float(found["per_second"])

    peaks, runs = [most()], list[Answers]()
    for _ in range(parts):
        rate = factor * peaks[-1]
        runs.append(
            uvloop.run(offer(server.port, request, rate=rate, connections=500, seconds=part))
        )
        peaks.append(most())
    between = [(before + after) / 2 for before, after in pairwise(peaks)]
    shares = [run.rate() / best for run, best in zip(runs, between, strict=True)]
    refused = sum(run.counts[BUSY] for run in runs)
    return {
        "peak_connections": MOST_ANSWERS_AT,
        "peaks_per_second": peaks,
        "sent_per_second": [round(sum(run.counts.values()) / run.elapsed, 1) for run in runs],
        "answered_per_second": [round(run.rate(), 1) for run in runs],
        "answered_shares_of_peak": [round(share, 3) for share in shares],
        "answered_share_of_peak": round(sum(shares) / parts, 3),
        "refused": refused,
        "busy_p50_ms": round(max(run.percentile(50, BUSY) for run in runs), 2),
        "busy_p99_ms": round(max(run.percentile(99, BUSY) for run in runs), 2),
        "busy_max_ms": round(max(run.percentile(100, BUSY) for run in runs), 2),
        "others": sum(run.others for run in runs) - refused,
        "lost": sum(run.lost for run in runs),
    }


def terminations(
    start: Callable[[], AbstractContextManager[Server]], request: bytes, *, times: int
) -> Measured:
    """End servers under load, and count requests that were sent and not answered.

    Those are on connections that the system had accepted, and the server had not, when it stopped
    listening: at most one of each of the client's connections.
    """
    runs, failed, longest = [], 0, 0.0
    for turn in range(times):
        with start() as server:
            answers, seconds = uvloop.run(_end_under_load(server, request, 0.2 + 0.01 * turn))
            runs.append(answers)
            failed += answers.others + (server.process.returncode != 0)
            longest = max(longest, seconds)
    return {
        "terminations": times,
        "answered": sum(run.counts[200] for run in runs),
        "reset": sum(run.lost for run in runs),
        "failed": failed,
        "longest_s": round(longest, 2),
    }


async def _end_under_load(server: Server, request: bytes, after: float) -> tuple[Answers, float]:
    """Send SIGTERM while requests come; return their answers, and the seconds to the end."""
    asking = asyncio.create_task(load(server.port, request, connections=8, seconds=after + 3))
    await asyncio.sleep(after)
    begin = time.perf_counter()
    server.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(server.process.wait, 30)
    seconds = time.perf_counter() - begin
    return await asking, seconds
