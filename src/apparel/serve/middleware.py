"""The middleware that every request passes: permission, size, errors, metrics and log.

It is one ASGI middleware, since each layer costs every request some time. It refuses a request
before its body is read.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apparel.serve.limits import HttpError, busy
from apparel.serve.service import Service

LOGGER = logging.getLogger("apparel.serve")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
# Paths that need no token: health, the page, which asks for the token, and the description of the
# API. None of them names a class.
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


class Middleware:
    """Check requests, bound their bodies, complete their responses, and record both."""

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
        """Wrap an application.

        Args:
            app: application that answers.
            service: model that the application serves.
            hosts: names by which clients may call this server.
            origins: origins of other pages that may use it, for example "https://example.org".
            token: token that clients must present; None for none.
            paths: path under which each endpoint's requests are counted.
        """
        self.service = service
        self.n_held = 0  # bytes of all bodies that are being read or answered
        self._app = app
        self._hosts = {name.lower() for name in hosts}
        self._origins = set(origins)
        self._token = token.encode() if token else None
        self._paths = dict(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        scope["app"] = self  # so that the router raises its errors
        begin = time.perf_counter()
        n_received = status = 0

        async def bounded_receive() -> Message:
            nonlocal n_received
            message = await receive()
            n_bytes = len(message.get("body", b""))
            n_received += n_bytes
            self.n_held += n_bytes
            self.check_size(n_received)
            return message

        async def completed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                closing = [] if self.service.is_ready else [(b"connection", b"close")]
                message["headers"] = [*message.get("headers", ()), *HEADERS, *closing]
            await send(message)

        try:
            error = await self._answer(scope, bounded_receive, completed_send)
            if (
                error and not status
            ):  # else half a response is out, and the connection's end shows it
                response = JSONResponse({"error": str(error)}, error.status, error.headers)
                await response(scope, receive, completed_send)
        finally:
            self.n_held -= n_received
            self._record(scope, status, time.perf_counter() - begin, n_received)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> HttpError | None:
        """Let the application answer; return the error if the request is refused."""
        try:
            self._check(scope)
            await self._app(scope, receive, send)
        except HttpError as error:
            return error
        except HTTPException as error:  # the router's
            return HttpError(error.status_code, error.detail, headers=error.headers)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:  # only the server's end cancels a request
            message = "The server is about to end. Ask another, or again."
            return HttpError(503, message, headers={"Retry-After": "1"})
        except Exception:
            LOGGER.exception("unexpected", extra={"path": scope["path"]})
            return HttpError(500, "Something went wrong inside the server.")
        return None

    def _check(self, scope: Scope) -> None:
        """Refuse a request that may not be answered, by its head."""
        names = [name for name, _ in scope["headers"]]
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not host or names.count(b"host") > 1:
            raise HttpError(400, "The request must have one Host header.")
        if _name_of(host) not in self._hosts:
            raise HttpError(
                421, "This server is not known by that name. Name it with --allow-host."
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin not in self._origins and origin.partition("://")[2] != host:
            raise HttpError(403, "Pages from elsewhere may not use this server.")
        if self._token and scope["path"] not in OPEN_PATHS and scope["method"] != "OPTIONS":
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(given, self._token):
                raise HttpError(
                    401,
                    "A token is needed: send the header 'Authorization: Bearer TOKEN'.",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        if scope["method"] == "POST":
            self.check_size(int(headers.get(b"content-length", 0)))

    def check_size(self, n_bytes: int) -> None:
        """Check that there is room for a body.

        Args:
            n_bytes: its size, as far as it is known.

        Raises:
            HttpError: it is too large, or all bodies together are.
        """
        limits = self.service.limits
        if n_bytes > limits.body_bytes:
            raise HttpError(
                413, f"The request is too large: at most {limits.body_bytes:,} bytes are allowed."
            )
        if self.n_held > limits.held_bytes:
            raise busy("too many bytes are being received already")

    def _record(self, scope: Scope, status: int, seconds: float, n_bytes: int) -> None:
        """Count a request, and log it."""
        path = self._paths.get(scope.get("endpoint"), "other")
        metrics = self.service.metrics
        metrics.requests.labels(path, status).inc()
        metrics.seconds.labels(path).observe(seconds)
        if LOGGER.isEnabledFor(logging.INFO):
            extra = {
                "method": scope["method"],
                "path": path,
                "status": status,
                "ms": round(seconds * 1000, 2),
                "bytes": n_bytes,
                "client": (scope.get("client") or ("",))[0],
            }
            LOGGER.info("request", extra=extra)


def _name_of(host: str) -> str:
    """Extract the name from a Host header, without port and brackets."""
    if host.startswith("["):  # an IPv6 address
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
