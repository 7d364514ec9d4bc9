"""HTTP connections that may not take for ever.

uvicorn bounds neither how long a client may take to send a request or to take its answer, nor how
many connections are open, nor how long the head of a request is. This protocol does, from a
connection's first moment to each answer's end. A request is read once the answer before it has
been taken: who sends more at once is answered once.

And while too much waits already, it turns requests away in a fraction of the time that an
application would need to, so that those that wait are answered as fast as ever.
"""

import asyncio
import re
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from apparel.serve.http_errors import too_large
from apparel.serve.service import Service

# Bytes of a request's line and headers, and of what follows a body.
MOST_HEAD = 1 << 16
# Bytes of a head that are kept, to know it again.
MOST_KEPT = 1 << 10
# What is sent where there is no request to answer.
_PLAIN = "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{}\r\n{}"


def _response(status: str, message: str, headers: str = "") -> bytes:
    body = f'{{"error": "{message}"}}'
    return _PLAIN.format(status, len(body), headers, body).encode()


# The head of a request whose body has a length, and nothing that could make it mean another.
WHOLE = re.compile(
    rb"POST [!-~]+ HTTP/1\.1\r\n(?:(?!transfer-encoding|content-length)[!-9;-~]+:[^\r\n]*\r\n)*"
    rb"content-length: (\d{1,9})\r\n"
    rb"(?:(?!transfer-encoding|content-length)[!-9;-~]+:[^\r\n]*\r\n)*\r\n",
    re.IGNORECASE,
)
TOO_SLOW = _response(
    "408 Request Timeout",
    "The request did not arrive in time. Send it faster.",
    "connection: close\r\n",
)
BUSY = _response(
    "503 Service Unavailable",
    "The server is busy: too many images wait already. Try again.",
    "retry-after: 1\r\n",
)
TOO_LONG = _response(
    "431 Request Header Fields Too Large",
    f"The head of the request is too large: at most {MOST_HEAD:,} bytes are taken.",
    "connection: close\r\n",
)
TOO_MANY = _response(
    "503 Service Unavailable",
    "The server is busy: too many connections are open. Try again.",
    "retry-after: 1\r\nconnection: close\r\n",
)


class _StopError(Exception):
    """No more of a connection's input is read."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a deadline for each request, one at a time, and limits."""

    # Set by `bounded`.
    service: Service

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = self.service.limits
        self._until: float | None = None  # when the connection is cut
        self._timer: asyncio.TimerHandle | None = None
        self._reading = False  # a request is due, or on its way
        self._in_request = False  # the parser is inside one
        self._refused = False  # the request that is being read
        self._is_deaf = False  # what still comes is thrown away
        self._n_head = 0  # bytes of the request's head
        self._n_silent = 0  # bytes since the parser last told of any
        self._last_head, self._last_length = b"", -1  # of a request that was turned away

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or turn it away where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.write(TOO_MANY)
            transport.close()
            return
        self._begin_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._until = None
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take some bytes; time also what begins no request, such as empty lines."""
        if self._is_deaf:
            return
        if self._until is None:
            self._begin_reading()
        if self.service.is_full(len(self.tasks)) and self._is_idle() and self._is_whole_post(data):
            # Not even parsed: while too much waits, each microsecond is taken from an answer.
            self._rest()
            self.transport.write(self._busy())
            return
        # The parser keeps a header, whatever its length, until it knows all of it.
        self._n_silent += len(data)
        super().data_received(data)
        if self._n_silent > MOST_HEAD and not self._is_deaf:
            self._end_with(TOO_LONG)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, unless it was refused already."""
        if not self._is_deaf:
            self._end_with(_response("400 Bad Request", msg, "connection: close\r\n"))

    def on_message_begin(self) -> None:
        """Give a request time to arrive, unless the answer before it is not taken yet.

        Raises:
            _StopError: it is not.
        """
        if self._is_answering():
            self.cycle.keep_alive = False
            self._is_deaf = True
            raise _StopError
        if self.transport.get_write_buffer_size():
            self._end_with(b"")
            raise _StopError
        self._in_request = True
        self._n_head = self._n_silent = 0
        self._begin_reading()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, also one that follows the body."""
        self._count_head(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Refuse a request at once, or let it in."""
        refusal = self._refusal()
        if refusal is None:
            super().on_headers_complete()
        else:
            self._refused = True
            self.transport.write(refusal)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, unless its request was refused."""
        self._n_silent = 0
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Give its answer time to be made and sent."""
        self._reading = self._in_request = False
        if self._refused or self.cycle.response_complete:
            self._refused = False
            self._rest()
            if not self.parser.should_keep_alive():
                self.transport.close()
            return
        self._set_deadline(self.limits.answer_seconds + self.limits.read_seconds)
        super().on_message_complete()

    def _refusal(self) -> bytes | None:
        """The answer to a request that is refused by its headers alone."""
        if self.parser.get_method() != b"POST":
            return None
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if lengths and int(lengths[0]) > self.limits.body_bytes:
            return _response("413 Content Too Large", too_large(self.limits))
        return self._busy() if self.service.is_full(len(self.tasks)) else None

    def _busy(self) -> bytes:
        """The answer to a request that finds the queue full, which is counted."""
        self.service.metrics.turned_away.inc()
        return BUSY

    def on_response_complete(self) -> None:
        """Give the answer time to be taken; uvicorn ends the connection if it is idle before."""
        if not self._reading:
            self._set_deadline(max(self.limits.read_seconds, self.config.timeout_keep_alive))
        super().on_response_complete()

    def _count_head(self, n_bytes: int) -> None:
        """Count bytes of the head of a request.

        Raises:
            _StopError: they are too many.
        """
        self._n_head += n_bytes
        self._n_silent = 0
        if self._n_head > MOST_HEAD:
            self._end_with(TOO_LONG)
            raise _StopError

    def _end_with(self, answer: bytes) -> None:
        """Send a last answer, and hear no more."""
        self._is_deaf = True
        if self._is_answering() and self.cycle.response_started:
            self.transport.abort()  # in the middle of another answer
            return
        self.transport.write(answer)
        self.transport.close()

    def _is_answering(self) -> bool:
        """Whether an answer is due."""
        return self.cycle is not None and not self.cycle.response_complete

    def _is_idle(self) -> bool:
        """Whether no request is being read or answered, and all answers have been taken."""
        return not (
            self._in_request or self._is_answering() or self.transport.get_write_buffer_size()
        )

    def _is_whole_post(self, data: bytes) -> bool:
        """Whether bytes are one POST request from its first to its last, told by its length."""
        if len(data) == self._last_length and data.startswith(self._last_head):
            return True
        found = WHOLE.match(data)
        if found is None or len(data) - found.end() != int(found[1]):
            return False
        if found.end() <= MOST_KEPT:  # clients mostly send the same head again
            self._last_head, self._last_length = found[0], len(data)
        return True

    def _begin_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._set_deadline(self.limits.read_seconds)

    def _rest(self) -> None:
        """Wait for a next request."""
        self._reading = False
        self._set_deadline(self.config.timeout_keep_alive)

    def _set_deadline(self, seconds: float | None) -> None:
        """Let the connection be cut after some seconds; None for never."""
        self._until = None if seconds is None else self.loop.time() + seconds
        # A timer that rings too early is set again then: most deadlines are moved many times.
        if self._until is not None and (self._timer is None or self._until < self._timer.when()):
            self._stop_timer()
            self._timer = self.loop.call_at(self._until, self._ring)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        """Cut the connection, if its deadline was not moved."""
        self._timer = None
        if self._until is None:
            return
        if self._until > self.loop.time():
            self._timer = self.loop.call_at(self._until, self._ring)
        else:
            self._cut()

    def _cut(self) -> None:
        """End a connection that takes too long."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # nobody takes the answer
            return
        if self.transport.is_closing():
            return
        if self._reading:
            self.transport.write(TOO_SLOW)
        self.transport.close()
        self._set_deadline(self.limits.read_seconds)  # to take that


def bounded(service: Service) -> type[BoundedProtocol]:
    """Make a protocol for uvicorn's `http`.

    Args:
        service: says what the limits are, and whether a new request is turned away.
    """
    return type("Protocol", (BoundedProtocol,), {"service": service})
