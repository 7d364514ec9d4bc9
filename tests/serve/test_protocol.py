"""Connections: deadlines, limits, and one response to one request, over real sockets."""

import socket
from contextlib import ExitStack, closing, suppress

import pytest
from benchmarks.serving.client import post
from benchmarks.serving.hostile import HEAD
from benchmarks.serving.server import HOST, png

from apparel.serve.limits import Limits
from tests.serve.conftest import wait_until

GET = b"GET /v2/models/SMUGGLED HTTP/1.1\r\nHost: localhost\r\n\r\n"
SERVER = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n"
INFER = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = INFER + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(GET)
UPGRADE = b"Connection: Upgrade\r\nUpgrade: "


def connect(server):
    return closing(socket.create_connection((HOST, server.port), timeout=30))


def answers(connection, most=None):
    """Read answers until the connection ends, or so many; their statuses and bodies."""
    found = []
    with connection.makefile("rb") as file, suppress(ConnectionError):
        while len(found) != most and (line := file.readline()):
            status, length = int(line.split()[1]), 0
            while (line := file.readline()) not in {b"\r\n", b""}:
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            if status != 100:
                found.append((status, file.read(length)))
    return found


# -- one message, one response, or the connection closes -------------------------------------------

# Messages that parsers have read differently: each is refused, and its connection closed.
AMBIGUOUS = {
    "two lengths": INFER + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + GET,
    "a signed length": INFER + b"Content-Length: +5\r\n\r\nhello" + GET,
    "a huge length": INFER + b"Content-Length: 18446744073709551621\r\n\r\nhello" + GET,
    "length and chunks": INFER + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
    "an unknown coding": INFER + b"Transfer-Encoding: xchunked\r\n" + LENGTH + b"\r\n" + GET,
    "a space before the colon": INFER + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + GET,
    "a folded header": INFER + b"X: a\r\n " + LENGTH + b"\r\n" + GET,
    "a bare LF": INFER + b"X: a\nTransfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + GET,
    "a bare CR": INFER + b"X: a\r" + LENGTH + b"\r\n" + GET,
    "NUL": INFER + b"X: a\0b\r\n" + LENGTH + b"\r\n" + GET,
    "a chunk's size and LF": CHUNKED + b"5\nhello\n0\n\n" + GET,
    "a chunk of another size": CHUNKED + b"4\r\nhello\r\n0\r\n\r\n" + GET,
    "a tunnel": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n" + GET,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + GET,
    "an upgrade with a body": INFER + UPGRADE + b"h2c\r\n" + LENGTH + b"\r\n" + GET,
}
# Messages that have one meaning: the response may be any, and the next request is the next message.
PLAIN = {
    "a body": (INFER + LENGTH + b"\r\n" + GET, 400),
    "trailers": (CHUNKED + b"5;a=b\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n", 400),
    "a body of GET": (SERVER + LENGTH + b"\r\n" + GET, 200),
    "an upgrade": (SERVER + UPGRADE + b"websocket\r\n\r\n", 200),
    "an upgrade of GET with a body": (SERVER + UPGRADE + b"h2c\r\n" + LENGTH + b"\r\n" + GET, 200),
    "expectation": (INFER + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", 400),
    "two hosts": (b"GET /v2 HTTP/1.1\r\nHost: evil\r\nHost: localhost\r\n\r\n", 400),
    "refused before its body": (SERVER.replace(b"GET", b"POST") + LENGTH + b"\r\n" + GET, 405),
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_an_ambiguous_message_gets_one_refusal_and_the_connection_ends(server, what):
    message = AMBIGUOUS[what]
    for parts in ([message], [message[:-1], message[-1:]], [message[: -len(GET)], GET]):
        with connect(server) as connection:
            with suppress(ConnectionError):  # the refusal may come before the last part
                for part in parts:
                    connection.sendall(part)
            found = answers(connection)
        assert [status for status, _ in found] == [400] or (found == [] and len(parts) > 1)
        if found:
            assert (b"without Upgrade" in found[0][1]) == ("upgrade" in what)


@pytest.mark.parametrize("what", PLAIN)
def test_a_message_gets_one_response_and_the_next_its_own(server, what):
    message, expected = PLAIN[what]
    for size in (len(message), 7):
        with connect(server) as connection:
            try:
                for start in range(0, len(message), size):
                    connection.sendall(message[start : start + size])
                found = answers(connection, 1)
            except ConnectionError:
                found = []
            # An upgrade is answered at its head; closing then may reset what was sent after it.
            assert [status for status, _ in found] == [expected] or (
                not found and "upgrade" in what
            )
            with suppress(ConnectionError):  # where it has ended
                connection.sendall(GET.replace(b"/models/SMUGGLED", b"/health/live"))
                assert answers(connection, 1) in ([], [(200, b'{"live":true}')])


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_of_requests_sent_together_the_first_is_answered(server, method):
    request = method + b" /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(request * 800)
        assert len(answers(connection)) == 1


# -- deadlines and limits --------------------------------------------------------------------------


def open_connections(server):
    return list(server.server.server_state.connections)


def expire(server):
    """Let the deadlines of all connections pass, which are those of the limits."""
    for connection in open_connections(server):
        left = connection.deadline - connection.loop.time()
        assert left <= Limits.read_seconds + Limits.answer_seconds
        connection.deadline = 0


def test_slow_requests_are_refused_and_cut(serving_here):
    begun = [b"", b"GET", HEAD + b"Content-Length: 9\r\n\r\n1",
             HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"]  # fmt: skip
    with serving_here(read_seconds=0.5) as served, ExitStack() as stack:
        connections = [stack.enter_context(connect(served)) for _ in begun]
        for connection, sent in zip(connections, begun, strict=True):
            connection.sendall(sent)
        for connection in connections:
            assert [status for status, _ in answers(connection)] == [408]


@pytest.mark.parametrize(
    ("request_", "status"),
    [(SERVER + b"\r\n", 200), (HEAD + b"Content-Length: 99999999\r\n\r\nabc", 413)],
)
def test_a_connection_that_was_answered_is_cut_without_a_second_answer(server, request_, status):
    with connect(server) as connection:
        connection.sendall(request_)
        assert answers(connection, 1)[0][0] == status
        expire(server)
        assert answers(connection) == []


def test_clients_that_do_not_read_answers_are_cut(serving_here):
    with serving_here() as served, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        connection.connect((HOST, served.port))
        (found,) = wait_until(lambda: open_connections(served))
        found.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        connection.sendall(b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(found.transport.get_write_buffer_size)
        expire(served)
        wait_until(lambda: not open_connections(served))


LONG_HEADS = {
    "many headers": SERVER + b"a:\r\n" * 20_000 + b"\r\n",
    "a header": SERVER + b"a: " + b"a" * 1_000_000,
    "empty lines": b"\r\n" * 1_000_000,
    "trailers": CHUNKED + b"1\r\na\r\n0\r\n" + b"a:\r\n" * 200_000,
    "a chunk's extension": CHUNKED + b"1;" + b"a" * 1_000_000,
}


@pytest.mark.parametrize("what", LONG_HEADS)
def test_a_head_that_is_too_long_is_refused(server, what):
    with connect(server) as connection:
        with suppress(ConnectionError):
            connection.sendall(LONG_HEADS[what])
        assert [status for status, _ in answers(connection)] == [431]
    with connect(server) as connection:  # half as long, it is answered
        connection.sendall(SERVER + b"a: a\r\n" * 5_000 + b"\r\n")
        assert answers(connection, 1)[0][0] == 200


def test_a_body_that_turns_out_too_large_is_refused(server):
    with connect(server) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(9):
            connection.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
        assert answers(connection, 1)[0][0] == 413


def test_too_many_connections_are_turned_away(serving_here):
    with serving_here(connections=3) as served:
        kept = [socket.create_connection((HOST, served.port), timeout=30) for _ in range(3)]
        for connection in kept:
            connection.sendall(SERVER + b"\r\n")
            assert answers(connection, 1)[0][0] == 200
        with connect(served) as further:
            ((status, body),) = answers(further)
        assert status == 503
        assert b"too many connections" in body
        for connection in kept:
            connection.close()
        wait_until(lambda: not open_connections(served))
        assert served.ask("/v2").status == 200


def test_a_request_that_finds_the_queue_full_is_refused_and_counted_once(serving_here, made):
    whole = post("/predict", png(made.images(1)[0]), "image/png")
    with serving_here(queue=1, images=1) as served, connect(served) as first, connect(served) as c:
        first.sendall(HEAD + b"Content-Length: 1000\r\n\r\nabc")  # is all that may be
        wait_until(lambda: served.server.server_state.tasks)
        for n, parts in enumerate(([whole], [whole[:20], whole[20:-9], whole[-9:]]), 1):
            for part in parts:
                c.sendall(part)
            ((status, body),) = answers(c, 1)
            assert status == 503
            assert b"too many images" in body
            assert served.ask("/v2/health/ready").status == 200
            assert b"\napparel_turned_away_requests_total %.1f\n" % n in served.ask("/metrics").body
