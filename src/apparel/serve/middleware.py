"""What every request passes: who may ask, how much may be sent, what is noted of it.

One ASGI middleware, since every layer costs each request some of its time. What it refuses, it
refuses before the body is read.
"""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apparel.serve.http_errors import HttpError, busy, ending, too_large
from apparel.serve.limits import Limits
from apparel.serve.service import Service

LOGGER = logging.getLogger("apparel.serve")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
# What anybody may see: health, the page, which asks for the token, and what the API is. None of it
# tells what the model knows.
OPEN_PATHS = {
    "/", "/page.css", "/page.js", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"
}  # fmt: skip
HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        b"connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Gate:
    """Checks requests, bounds their bodies, completes their answers, and notes both."""

    def __init__(
        self,
        app: ASGIApp,
        service: Service,
        *,
        hosts: Iterable[str],
        origins: Iterable[str],
        token: str | None,
        paths: Mapping[Any, str],
    ) -> None:
        """Stand before an application.

        Args:
            app: what answers.
            service: what it serves.
            hosts: names by which clients may call this server.
            origins: of other pages that may use it, for example "https://example.org".
            token: what clients must present; None for nothing.
            paths: what each endpoint's requests are counted by.
        """
        self._app = app
        self._service = service
        self._limits: Limits = service.limits
        self._hosts = {name.lower() for name in hosts}
        self._origins = set(origins)
        self._token = token.encode() if token else None
        self._paths = dict(paths)
        self._n_held = 0  # bytes of all requests that are being read or answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["app"] = self  # so that the router raises what it refuses
        request = _Request(scope, receive, send, self)
        try:
            self._check(scope, request.headers)
            await self._app(scope, request.receive, request.send)
        except HttpError as error:
            await request.refuse(error)
        except HTTPException as error:  # the router's
            await request.refuse(HttpError(error.status_code, error.detail, headers=error.headers))
        except ClientDisconnect:
            pass  # nobody is left to answer
        except asyncio.CancelledError:  # only the server's end cancels a request
            await request.refuse(ending())
        except Exception:
            LOGGER.exception("unexpected", extra={"path": scope["path"]})
            await request.refuse(HttpError(500, "Something went wrong inside the server."))
        finally:
            request.finish()

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Refuse a request that may not be answered, before its body is read.

        Raises:
            HttpError: it may not.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        if not host:
            raise HttpError(400, "The request has no Host header.")
        if _name_of(host) not in self._hosts:
            raise HttpError(
                421, "This server is not known by that name. Name it with --allow-host."
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin not in self._origins and origin.partition("://")[2] != host:
            raise HttpError(403, "Pages from elsewhere may not use this server.")
        path = scope["path"]
        if self._token is not None and path not in OPEN_PATHS and scope["method"] != "OPTIONS":
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(given, self._token):
                raise HttpError(
                    401,
                    "A token is needed: send the header 'Authorization: Bearer TOKEN'.",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        if scope["method"] == "POST" and self._n_held >= self._limits.held_bytes:
            raise busy("too much is being received already")

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What every answer has."""
        return HEADERS if self._service.is_ready else [*HEADERS, (b"connection", b"close")]

    def hold(self, n_bytes: int, n_of_request: int) -> None:
        """Count bytes of a body as held.

        Args:
            n_bytes: that have just come.
            n_of_request: of this body, with these.

        Raises:
            HttpError: they are too many.
        """
        self._n_held += n_bytes
        if n_of_request > self._limits.body_bytes:
            raise HttpError(413, too_large(self._limits))
        if self._n_held > self._limits.held_bytes:
            raise busy("too much is being received already")

    def release(self, n_bytes: int) -> None:
        """Count bytes as gone."""
        self._n_held -= n_bytes

    def note(self, scope: Scope, status: int, seconds: float, n_bytes: int) -> None:
        """Count a request, and write a line about it."""
        path = self._paths.get(scope.get("endpoint"), "other")
        metrics = self._service.metrics
        metrics.requests.labels(path, status).inc()
        metrics.seconds.labels(path).observe(seconds)
        if LOGGER.isEnabledFor(logging.INFO):
            client = scope.get("client") or ("",)
            extra = {
                "method": scope["method"],
                "path": path,
                "status": status,
                "ms": round(seconds * 1000, 2),
                "bytes": n_bytes,
                "client": client[0],
            }
            LOGGER.info("request", extra=extra)


class _Request:
    """One request on its way through the gate."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, gate: Gate) -> None:
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._scope, self._receive, self._send, self._gate = scope, receive, send, gate
        self._begin = time.perf_counter()
        self._n_received = 0
        self._status = 0

    async def receive(self) -> Message:
        """Give the application a part of the body, if there is room for it."""
        message = await self._receive()
        if message["type"] == "http.request":
            n_bytes = len(message.get("body", b""))
            self._n_received += n_bytes
            self._gate.hold(n_bytes, self._n_received)
        return message

    async def send(self, message: Message) -> None:
        """Complete the headers of an answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._gate.headers()]
        await self._send(message)

    async def refuse(self, error: HttpError) -> None:
        """Answer with an error. What the client still sends is thrown away by the protocol."""
        if self._status:  # half an answer is out: the connection ends, and shows it
            return
        body = json.dumps({"error": str(error)}).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **error.headers,
        }
        raw = [(key.lower().encode(), value.encode("latin-1")) for key, value in headers.items()]
        await self.send({"type": "http.response.start", "status": error.status, "headers": raw})
        await self._send({"type": "http.response.body", "body": body})

    def finish(self) -> None:
        """Let go of the body, and note the request."""
        self._gate.release(self._n_received)
        seconds = time.perf_counter() - self._begin
        self._gate.note(self._scope, self._status, seconds, self._n_received)


def _name_of(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):  # an IPv6 address
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
