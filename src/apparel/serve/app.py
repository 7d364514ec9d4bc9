"""The application: all endpoints, among them the page and the API's description."""

import html
import json
import math
from collections.abc import Collection, Iterable
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from apparel._version import __version__
from apparel.core.model_formats import NOVELTY
from apparel.predict.predictor import Predictor
from apparel.serve.limits import HttpError
from apparel.serve.middleware import Middleware
from apparel.serve.open_inference import HEADER_LENGTH, OpenInference
from apparel.serve.predict_api import PredictApi
from apparel.serve.service import Service

FOLDER = files("apparel.serve")
PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}


def create_app(
    service: Service,
    *,
    name: str,
    hosts: Iterable[str],
    origins: Collection[str] = (),
    token: str | None = None,
) -> ASGIApp:
    """Build the application.

    Args:
        service: model that it serves.
        name: name of the model.
        hosts: names by which clients may call the server.
        origins: origins of other pages that may use it.
        token: token that clients must present; None for none.

    Returns:
        An ASGI application.
    """
    routes = create_routes(service, name)
    router = Router(routes, redirect_slashes=False, default=_not_found)
    paths = {route.endpoint: route.path for route in reversed(routes)}
    app = Middleware(router, service, hosts=hosts, origins=origins, token=token, paths=paths)
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", HEADER_LENGTH],
        expose_headers=[HEADER_LENGTH, "Retry-After"],
    )


def create_routes(service: Service, name: str) -> list[Route]:
    """List all endpoints of a model.

    Args:
        service: model that they serve.
        name: name of the model.
    """
    document = describe(service.predictor, name)
    documentation = _documentation(document)

    async def docs(_request: Request) -> Response:
        return HTMLResponse(documentation)

    async def openapi(_request: Request) -> Response:
        return JSONResponse(document)

    async def metrics(_request: Request) -> Response:
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [
        *OpenInference(service, name).routes(),
        *PredictApi(service, name).routes(),
        *(_page_route(path, file, kind) for path, (file, kind) in PAGE.items()),
        Route("/docs", docs),
        Route("/openapi.json", openapi),
        Route("/metrics", metrics),
    ]


def describe(predictor: Predictor, name: str) -> dict[str, Any]:
    """Describe the API for a model, from `openapi.json`.

    Args:
        predictor: the model.
        name: its name, which takes the place of MODEL.

    Returns:
        An OpenAPI document.
    """
    text = (FOLDER / "openapi.json").read_text("utf-8").replace("MODEL", quote(name))
    document: dict[str, Any] = json.loads(text)
    document["info"] |= {"title": f"{name}, served by apparel", "version": __version__}
    asked = document["components"]["schemas"]["InferRequest"]["properties"]
    tensor = asked["inputs"]["items"]["properties"]
    tensor["shape"]["prefixItems"][1:] = [{"const": side} for side in predictor.img_shape]
    tensor["data"]["minItems"] = math.prod(predictor.img_shape)
    if not predictor.tells_novelty:
        asked["outputs"]["items"]["properties"]["name"]["enum"].remove(NOVELTY)
    return document


def _page_route(path: str, file: str, media_type: str) -> Route:
    """Build the endpoint of a file of the page."""
    content = (FOLDER / "page" / file).read_bytes()

    async def page(_request: Request) -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return Route(path, page)


async def _not_found(scope: Scope, _receive: Receive, _send: Send) -> None:
    """Refuse an unknown path."""
    path = Request(scope).url.path[:100]
    raise HttpError(404, f"There is nothing at {path}. /docs lists what there is.")


def _documentation(document: dict[str, Any]) -> str:
    """Write the description of the API as a page."""
    title = html.escape(document["info"]["title"])
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<link rel='stylesheet' href='/page.css'><title>{title}</title></head><body><main>"
        f"<h1>{title}</h1><p>{html.escape(document['info']['description'])}</p>"
        "<p><a href='/openapi.json'>openapi.json</a> describes it for programs. "
        "<a href='/'>To the page.</a></p>"
    ]
    for path, item in document["paths"].items():
        for method, operation in _resolved(item, document).items():
            parts.append(
                f"<section><h2><code>{method.upper()} {html.escape(path)}</code></h2>"
                f"<p>{html.escape(operation['summary'])}</p>"
            )
            if example := operation.get("x-example"):
                parts.append(f"<pre tabindex='0'>{html.escape(example)}</pre>")
            parts.append(
                "<table><thead><tr><th scope='col'>status</th><th scope='col'>when</th></tr>"
                "</thead><tbody>"
            )
            for status, response in operation["responses"].items():
                when = html.escape(_resolved(response, document)["description"])
                parts.append(f"<tr><td>{status}</td><td>{when}</td></tr>")
            parts.append("</tbody></table></section>")
    return "".join([*parts, "</main></body></html>"])


def _resolved(part: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Follow the reference to a component that a part of the description may be."""
    if "$ref" not in part:
        return part
    kind, name = part["$ref"].removeprefix("#/components/").split("/")
    return dict(document["components"][kind][name])
