"""HTTP connections that may not take for ever.

uvicorn bounds neither how long a client may take to send a request or to take its answer, nor how
many connections are open. This protocol does, from a connection's first moment to each answer's
end. And while too much waits already, it turns requests away in a fraction of the time that an
application would need to, so that those that wait are answered as fast as ever.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from apparel.limits import Limits
from apparel.serve.problems import too_large

# What is sent where there is no request to answer.
_PLAIN = "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{}\r\n{}"


def _response(status: str, message: str, headers: str = "") -> bytes:
    body = f'{{"error": "{message}"}}'
    return _PLAIN.format(status, len(body), headers, body).encode()


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
TOO_MANY = _response(
    "503 Service Unavailable",
    "The server is busy: too many connections are open. Try again.",
    "retry-after: 1\r\nconnection: close\r\n",
)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a deadline for each request and a limit of connections."""

    # Of the server, set by `bounded`.
    limits: Limits
    turns_away: Callable[[], bool]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: asyncio.TimerHandle | None = None
        self._reading = False
        self._refused = False  # the request that is being read

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
        self._set_deadline(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Time also what begins no request, such as empty lines."""
        if self._deadline is None:
            self._begin_reading()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Give a request time to arrive."""
        self._begin_reading()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse a request at once, or let it in."""
        idle = self.cycle is None or self.cycle.response_complete
        refusal = self._refusal() if idle else None
        if refusal is None:
            super().on_headers_complete()
        else:
            self._refused = True
            self.transport.write(refusal)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, unless its request was refused."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Give its answer time to be made and sent."""
        self._reading = False
        if self._refused or self.cycle.response_complete:
            self._refused = False
            self._set_deadline(self.config.timeout_keep_alive)
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
        return BUSY if type(self).turns_away() else None

    def on_response_complete(self) -> None:
        """Leave the connection to uvicorn's keep-alive, unless a next request has begun."""
        if not self._reading:
            self._set_deadline(None)
        super().on_response_complete()

    def _begin_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._set_deadline(self.limits.read_seconds)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self._cut)

    def _cut(self) -> None:
        """End a connection that takes too long."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.abort()  # nobody takes the answer
            return
        if self._reading:
            self.transport.write(TOO_SLOW)
        self.transport.close()


def bounded(limits: Limits, turns_away: Callable[[], bool]) -> type[BoundedProtocol]:
    """Make a protocol for uvicorn's `http`.

    Args:
        limits: of the server.
        turns_away: tells whether a new request would only be turned away.
    """
    attributes = {"limits": limits, "turns_away": staticmethod(turns_away)}
    return type("Protocol", (BoundedProtocol,), attributes)
