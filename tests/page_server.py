"""A stand-in for `apparel serve`: the page's files, and answers made up from an image's pixels."""

import base64
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import numpy as np
import uvicorn
from PIL import Image, UnidentifiedImageError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CLASS_NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
               "Bag", "Ankle boot")  # fmt: skip
SIDE = 28
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
}
TYPES = {"index.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}


@contextmanager
def page_server() -> Iterator[str]:
    """Serve on a free port of this machine; gives the address, without a slash at its end."""
    routes = [Route(f"/{name}", _file) for name in TYPES]
    routes += [Route("/", _file), Route("/model", _model), Route("/docs", _docs)]
    routes.append(Route("/predict", _predict, methods=["POST"]))
    config = uvicorn.Config(
        Starlette(routes=routes), port=0, log_level="error", lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def picture(value: int) -> np.ndarray:
    """An item on black: a square of one brightness."""
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[6:22, 8:20] = value
    return pixels


def png(pixels: np.ndarray) -> bytes:
    """A PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


async def _file(request: Request) -> Response:
    name = request.url.path[1:] or "index.html"
    content = (files("apparel.serve") / "page" / name).read_bytes()
    return Response(content, media_type=TYPES[name], headers=HEADERS)


async def _docs(_request: Request) -> Response:
    return Response("<!doctype html><title>API</title>", media_type="text/html", headers=HEADERS)


async def _model(_request: Request) -> Response:
    return JSONResponse(
        {
            "name": "fast",
            "class_names": CLASS_NAMES,
            "img_shape": (SIDE, SIDE, 1),
            "threshold": 0.71,
            "takes_photos": True,
            "tells_novelty": True,
            "dataset": "Fashion-MNIST",
            "accuracy": {"value": 0.9381, "low": 0.9333, "high": 0.9427, "n": 10_000},
            "examples": [
                {"label": name, "image": _address(picture(60 + 20 * k))}
                for k, name in enumerate(CLASS_NAMES)
            ],
            "limits": {"body_bytes": 8 << 20, "images": 64},
        }
    )


async def _predict(request: Request) -> Response:
    async with request.form() as form:
        answers = [_answer(file.filename, await file.read()) for file in form.getlist("files")]
    status = 200 if any("error" not in answer for answer in answers) else 422
    return JSONResponse({"predictions": answers}, status)


def _answer(name: str, content: bytes) -> dict[str, Any]:
    try:
        with Image.open(io.BytesIO(content)) as image:
            grey = np.asarray(image.convert("L").resize((SIDE, SIDE)))
    except UnidentifiedImageError:
        return {"name": name, "error": f"{name} is no image that can be read."}
    shares = np.full(len(CLASS_NAMES), 0.02)
    shares[int(grey.max()) // 10 % len(CLASS_NAMES)] = 0.82
    evidence = np.zeros((SIDE, SIDE))
    evidence[2:8, 2:8] = 1
    return {
        "name": name,
        "label": CLASS_NAMES[shares.argmax()],
        "confidence": shares.max(),
        "sure": True,
        "probabilities": dict(zip(CLASS_NAMES, shares, strict=True)),
        "novelty": 1.0,
        "unlike": False,
        "steps": ["trimmed the background", "negated"],
        "image": _address(grey),
        "map": evidence.tolist(),
    }


def _address(pixels: np.ndarray) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"
