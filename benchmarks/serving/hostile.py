"""What a server does with clients that mean harm, or are broken."""

import asyncio
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import Any

import uvloop

from benchmarks.serving.client import HOST, load
from benchmarks.serving.server import Server

Measured = dict[str, Any]
SEED = 0
BODY = 100 << 20
CHUNK = 1 << 16
# Requests of a slow reader at once: their answers fill what the system keeps for a connection.
MANY = 800
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"

_BEGINNINGS = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\n", HEAD, b"GET /v2 HTTP/1.0\r\nHost: localhost\r\n",
    b"POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost\r\n",
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n",
)  # fmt: skip
_PIECES = (
    b"GET / HTTP/1.1\r\n", b"POST /predict HTTP/1.1\r\n", b"POST /v2/models/m/infer HTTP/1.1\r\n",
    b"Host: localhost\r\n", b"Host: \r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n",
    b"Content-Length: 5, 6\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n",
    b"Content-Type: multipart/form-data; boundary=x\r\n", b"Content-Type: image/png\r\n",
    b"Expect: 100-continue\r\n", b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Inference-Header-Content-Length: 99\r\n", b"\r\n", b"\n", b"\r", b"5\r\nhello\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\n", b"--x\r\nContent-Disposition: form-data; name=\"files\"\r\n\r\n",
    b"--x--\r\n", b"HTTP/1.1 200 OK\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02",
    b"GET /%ff%00 HTTP/1.1\r\n", b"GET //../..//etc/passwd HTTP/1.1\r\n",
    b"GET http:// HTTP/1.1\r\n", b"X: " + b"a" * 5000 + b"\r\n", b" folded\r\n",
    b": empty\r\n", b"{\"inputs\": [", b"\xff\xfe\x00",
)  # fmt: skip


def malformed(server: Server, *, messages: int) -> Measured:
    """Send raw bytes that are nearly HTTP, and count what must not come back."""
    chance = random.Random(SEED)  # noqa: S311  # the same messages every time
    statuses: dict[str, int] = {}
    for _ in range(messages):
        status = _exchange(server.port, _message(chance))
        statuses[status] = statuses.get(status, 0) + 1
    return {
        "messages": messages,
        "statuses": dict(sorted(statuses.items())),
        "server_errors": sum(n for status, n in statuses.items() if status[:1] == "5"),
        "tracebacks": server.tracebacks(),
    }


def _message(chance: random.Random) -> bytes:
    """Pieces of requests, put together by chance, and some of their bytes changed or cut off."""
    begin = chance.choice(_BEGINNINGS) if chance.random() < 0.7 else b""  # noqa: PLR2004
    message = bytearray(begin + b"".join(chance.choices(_PIECES, k=chance.randint(1, 9))))
    for _ in range(chance.choice((0, 0, 1, 5))):
        message[chance.randrange(len(message))] = chance.randrange(256)
    if chance.random() < 0.3:  # noqa: PLR2004
        del message[chance.randint(1, len(message)) :]
    return bytes(message)


def _exchange(port: int, message: bytes) -> str:
    """Send bytes and no more; the status of the answer, or "none"."""
    with socket.create_connection((HOST, port), timeout=10) as connection:
        try:
            connection.sendall(message)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(1 << 16)
        except OSError:
            return "none"
    return answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/1.") else "none"


def large_bodies(server: Server, *, bodies: int, chunked: bool) -> Measured:
    """Send bodies of 100 MB at once, and see how much memory that takes."""
    server.forget_peak()
    before = server.resident_mb()
    statuses = uvloop.run(_send_all(server.port, bodies, chunked=chunked))
    return {
        "bodies": bodies,
        "chunked": chunked,
        "rise_mb": round(server.peak_mb() - before, 1),
        "statuses": statuses,
        "tracebacks": server.tracebacks(),
    }


async def _send_all(port: int, bodies: int, *, chunked: bool) -> dict[str, int]:
    found = await asyncio.gather(*(_send_body(port, chunked=chunked) for _ in range(bodies)))
    return {status: found.count(status) for status in sorted(set(found))}


async def _send_body(port: int, *, chunked: bool) -> str:
    """Send one large body as far as the server takes it; the status of its answer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % BODY
    part = bytes(CHUNK)
    part = b"%x\r\n%b\r\n" % (CHUNK, part) if chunked else part
    answer = asyncio.create_task(reader.read(1 << 12))
    with suppress(OSError):  # the server has heard enough
        writer.write(HEAD + length + b"\r\n\r\n")
        for _ in range(BODY // CHUNK):
            writer.write(part)
            await writer.drain()
    try:
        return (await asyncio.wait_for(answer, 15))[9:12].decode() or "none"
    except (OSError, TimeoutError):
        return "none"
    finally:
        writer.transport.abort()  # what is not sent yet would outlive the loop
        await asyncio.sleep(0)


def slow_connections(
    server: Server, request: bytes, *, connections: int, seconds: float
) -> Measured:
    """Ask as usual beside clients that send a byte now and then."""
    usual = uvloop.run(load(server.port, request, connections=4, seconds=seconds, pause=0.01))
    with_slow, cut, longest = uvloop.run(_beside(server.port, request, connections, seconds))
    return {
        "slow_connections": connections,
        "not_cut": connections - cut,
        "longest_s": round(longest, 1),
        "p99_ms_alone": round(usual.percentile(99), 2),
        "p99_ms_beside": round(with_slow.percentile(99), 2),
        "p99_ratio": round(with_slow.percentile(99) / usual.percentile(99), 2),
        "others": sum(with_slow.counts.values()) - with_slow.counts[200] + with_slow.lost,
    }


async def _beside(
    port: int, request: bytes, connections: int, seconds: float
) -> tuple[Any, int, float]:
    slow = [asyncio.create_task(_drip(port, k)) for k in range(connections)]
    await asyncio.sleep(0.5)
    answers = await load(port, request, connections=4, seconds=seconds, pause=0.01)
    lasted = await asyncio.gather(*slow)
    return answers, sum(one is not None for one in lasted), max(one or 0.0 for one in lasted)


async def _drip(port: int, k: int) -> float | None:
    """Send a byte every half second; the seconds until the server cuts it, None if it does not."""
    sent = HEAD + b"Content-Length: 1000\r\n\r\n" + bytes(1000)
    # Some do so from the beginning, some in the headers, some in the body, some say nothing.
    start = (0, 1, 40, len(HEAD) + 24, 0)[k % 5]
    silent = k % 5 == 4  # noqa: PLR2004  # the last of the five
    reader, writer = await asyncio.open_connection(HOST, port)
    begin = time.perf_counter()
    try:
        writer.write(sent[:start])
        for at in range(start, start + 60):
            if not silent:
                writer.write(sent[at : at + 1])
            try:
                if await asyncio.wait_for(reader.read(1 << 12), 0.5) is not None:
                    return time.perf_counter() - begin
            except TimeoutError:
                continue
    except OSError:
        return time.perf_counter() - begin
    finally:
        writer.close()
    return None


def slow_readers(server: Server, *, connections: int, seconds: float) -> Measured:
    """Ask for much on each connection and take nothing: some at once, some request by request."""
    lasted = uvloop.run(_read_nothing(server.port, connections, seconds))
    return {
        "slow_readers": connections,
        "not_cut": lasted.count(None),
        "longest_s": round(max(one or 0.0 for one in lasted), 1),
    }


async def _read_nothing(port: int, connections: int, seconds: float) -> list[float | None]:
    return await asyncio.gather(
        *(asyncio.to_thread(_ask_only, port, seconds, k % 2 == 0) for k in range(connections))
    )


def _ask_only(port: int, seconds: float, at_once: bool) -> float | None:
    """Ask and read nothing; the seconds until the server cuts the connection, None if it does not.

    How much arrives without being read is bounded, so that the server has to keep the rest.
    """
    asked = b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        connection.connect((HOST, port))
        connection.setblocking(False)
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            try:
                # What is sent to a connection that was cut fails.
                connection.send(asked * MANY if at_once else asked)
            except BlockingIOError:
                pass
            except OSError:
                return time.perf_counter() - begin
            time.sleep(0.01)  # the system keeps megabytes before the server has to
    return None


def schema_cases(server: Server, *, examples: int) -> Measured:
    """Let Schemathesis make requests of the API's description, valid and not.

    Each answer must be no server error, of a documented status and type, and as described; what
    does not fit the description must be refused.
    """
    checks = (
        "not_a_server_error", "status_code_conformance", "content_type_conformance",
        "response_schema_conformance", "negative_data_rejection",
    )  # fmt: skip
    command = [
        sys.executable, "-m", "schemathesis.cli", "run",
        f"http://{HOST}:{server.port}/openapi.json", "--checks", ",".join(checks),
        "--phases", "coverage,fuzzing", "--max-examples", str(examples), "--seed", str(SEED),
        "--continue-on-failure", "--generation-database", "none",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:  # for what it keeps of its cases
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    found = re.search(r"([\d,]+) generated", done.stdout)
    if found is None:
        raise RuntimeError(done.stdout[:4000] + done.stderr)
    failures = [line.strip() for line in done.stdout.splitlines() if line[:3] == "- S"]
    return {
        "cases": int(found[1].replace(",", "")),
        "n_failures": len(failures),
        "failures": failures,
        "tracebacks": server.tracebacks(),
    }
