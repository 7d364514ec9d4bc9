"""HTTP/1.1 connections with deadlines and limits.

uvicorn bounds neither the time that a client may take to send a request or to read its response,
nor the number of connections, nor the size of a request's head. docs/serving.md compares servers
that bound some of these. This subclass adds the rest, and reads one request at a time: a client
that sends more before it has the response gets that response, and its connection is closed.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from apparel.serve.service import Service

MAX_HEAD_BYTES = 1 << 16


def _response(status: int, message: str, *headers: str) -> bytes:
    body = json.dumps({"error": message})
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*head, "", body]).encode()


BUSY = _response(
    503, "The server is busy: too many images are waiting. Try again.", "retry-after: 1"
)


class _Stop(Exception):  # noqa: N818  # no error
    """Makes the parser stop."""


class _Refused:
    """Takes the place of uvicorn's request cycle for a request that is refused without one."""

    response_started = response_complete = True

    def __init__(self) -> None:
        self.message_event = asyncio.Event()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's connection with a deadline and limits.

    Attributes:
        deadline: time of the event loop at which `end_late` is due.
    """

    def __init__(
        self,
        service: Service,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._service = service
        self._limits = service.limits
        self._is_ended = False  # further bytes are discarded
        self._n_head = 0  # bytes since the parser last reported a head or a part of a body
        self.deadline = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection unless too many are open."""
        super().connection_made(transport)
        self._extend(self._limits.read_seconds)
        if len(self.connections) > self._limits.connections:
            message = "The server is busy: too many connections are open. Try again."
            self._end(503, message, "retry-after: 1")

    def data_received(self, data: bytes) -> None:
        """Parse bytes, and refuse a head without end."""
        if self._is_ended:
            return
        self._n_head += len(data)
        super().data_received(data)
        self._check_head()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's signature
        """Refuse bytes that are no HTTP."""
        self._end(400, "The request is not valid HTTP/1.1.")

    def on_message_begin(self) -> None:
        """Begin a request, unless the response to the previous one has not been sent.

        Raises:
            _Stop: it has not.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            self._is_ended = True
        elif self.transport.get_write_buffer_size():
            self._is_ended = True
            self.transport.close()
        if self._is_ended:
            raise _Stop
        self.cycle = None  # type: ignore[assignment]  # as on a new connection
        self._extend(self._limits.read_seconds)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start to answer a request, or refuse it by its head.

        Raises:
            _Stop: nothing more can be read from the connection.
        """
        self._n_head = len(self.url) + sum(
            len(name) + len(value) + 4 for name, value in self.headers
        )
        self._check_head()
        self._n_head = 0
        is_post, is_upgrade = self.parser.get_method() == b"POST", self.parser.should_upgrade()
        if is_post and is_upgrade:  # the parser would take its body for the next request
            self._end(400, "This server speaks only HTTP/1.1. Send the request without Upgrade.")
        if self._is_ended:
            raise _Stop
        if is_post and self._service.is_full(len(self.tasks)):
            # A task for it would cost seven times as much, time that is taken from the answers.
            self._service.metrics.turned_away.inc()
            self.transport.write(BUSY)
            self.cycle = _Refused()  # type: ignore[assignment]
            return
        super().on_headers_complete()
        if is_upgrade:
            self.cycle.keep_alive = False
            self._is_ended = True

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._n_head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Give the response its time."""
        self._n_head = 0
        super().on_message_complete()
        if not self.cycle.response_complete:
            self._extend(self._limits.answer_seconds + self._limits.read_seconds)
        elif self.parser.should_keep_alive():
            self._extend(self._limits.read_seconds)
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Give the client time to read the response and to send another request."""
        if not self.cycle.more_body:
            self._extend(self._limits.read_seconds)
        super().on_response_complete()

    def end_late(self) -> None:
        """End the connection, whose deadline has passed."""
        if self._is_ended or self.transport.get_write_buffer_size():
            self.transport.abort()  # the client does not read its response
        else:
            self._extend(self._limits.read_seconds)
            self._end(408, "The request did not arrive in time. Send it faster.")

    def _extend(self, seconds: float) -> None:
        self.deadline = self.loop.time() + seconds

    def _check_head(self) -> None:
        if self._n_head > MAX_HEAD_BYTES:
            allowed = f"at most {MAX_HEAD_BYTES:,} bytes are allowed."
            self._end(431, f"The head of the request is too large: {allowed}")

    def _end(self, status: int, message: str, *headers: str) -> None:
        """Read no more; send a last response, unless the current request has one."""
        if self._is_ended:
            return
        self._is_ended = True
        if self.cycle is None or not self.cycle.response_started:
            self.transport.write(_response(status, message, *headers, "connection: close"))
        elif not self.cycle.response_complete:
            self.transport.abort()  # a half-sent response shows as one
            return
        self.transport.close()
