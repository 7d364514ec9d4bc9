"""The page for people, the description of the API, and the counts."""

import html
from importlib.resources import files
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from apparel.serve.service import Service

FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}


class Pages:
    """Endpoints that show something."""

    def __init__(self, service: Service, described: dict[str, Any]) -> None:
        """Read the page's files.

        Args:
            service: whose counts to show.
            described: the API, as OpenAPI describes it.
        """
        self._service = service
        self._described = described
        folder = files("apparel.serve") / "page"
        self._files = {
            path: ((folder / name).read_bytes(), media_type)
            for path, (name, media_type) in FILES.items()
        }
        self._docs = _docs(described)

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            *(Route(path, self.file) for path in FILES),
            Route("/docs", self.docs),
            Route("/openapi.json", self.openapi),
            Route("/metrics", self.metrics),
        ]

    async def file(self, request: Request) -> Response:
        """A file of the page."""
        content, media_type = self._files[request.scope["path"]]
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    async def docs(self, _request: Request) -> Response:
        """The API for people."""
        return HTMLResponse(self._docs)

    async def openapi(self, _request: Request) -> Response:
        """The API for programs."""
        return JSONResponse(self._described)

    async def metrics(self, _request: Request) -> Response:
        """What the server has done."""
        return Response(self._service.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _docs(described: dict[str, Any]) -> str:
    """The API as a page."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        "<link rel='stylesheet' href='/page.css'>"
        f"<title>{html.escape(described['info']['title'])}</title></head><body><main>"
        f"<h1>{html.escape(described['info']['title'])}</h1>"
        f"<p>{html.escape(described['info']['description'])}</p>"
        "<p><a href='/openapi.json'>openapi.json</a> describes it for programs. "
        "<a href='/'>To the page.</a></p>"
    ]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            parts.append(
                f"<section><h2><code>{method.upper()} {html.escape(path)}</code></h2>"
                f"<p>{html.escape(operation['summary'])}</p>"
            )
            example = operation.get("x-example")
            if example:
                parts.append(f"<pre tabindex='0'>{html.escape(example)}</pre>")
            rows = "".join(
                f"<tr><td>{status}</td><td>{html.escape(answer['description'])}</td></tr>"
                for status, answer in operation["responses"].items()
            )
            parts.append(
                "<table><thead><tr><th scope='col'>status</th><th scope='col'>when</th></tr>"
                f"</thead><tbody>{rows}</tbody></table></section>"
            )
    return "".join([*parts, "</main></body></html>"])
