"""All that a server answers, put together."""

from collections.abc import Collection, Iterable

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from apparel.serve.http_errors import HttpError
from apparel.serve.middleware import Gate
from apparel.serve.open_inference.api import OpenInference
from apparel.serve.open_inference.tensors import HEADER_LENGTH
from apparel.serve.openapi import describe
from apparel.serve.pages import Pages
from apparel.serve.predict_api import People
from apparel.serve.service import Service


def create_app(
    service: Service,
    *,
    name: str,
    hosts: Iterable[str],
    origins: Collection[str] = (),
    token: str | None = None,
) -> ASGIApp:
    """Put an application together.

    Args:
        service: what it serves.
        name: what the model is called.
        hosts: names by which clients may call the server.
        origins: of other pages that may use it.
        token: what clients must present; None for nothing.

    Returns:
        An ASGI application.
    """
    described = describe(service.predictor, name)
    routes: list[Route] = [
        *OpenInference(service, name).routes(),
        *People(service, name).routes(),
        *Pages(service, described).routes(),
    ]
    router = Router(routes, redirect_slashes=False, default=_not_found)
    paths = {route.endpoint: route.path for route in reversed(routes)}
    gate = Gate(router, service, hosts=hosts, origins=origins, token=token, paths=paths)
    if not origins:
        return gate
    return CORSMiddleware(
        gate,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", HEADER_LENGTH],
        expose_headers=[HEADER_LENGTH, "Retry-After"],
    )


async def _not_found(scope: Scope, _receive: Receive, _send: Send) -> None:
    """Refuse a path that leads nowhere.

    Raises:
        HttpError: always.
    """
    path = Request(scope).url.path[:100]
    raise HttpError(404, f"There is nothing at {path}. /docs says what there is.")
