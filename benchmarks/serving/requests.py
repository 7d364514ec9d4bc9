"""Requests that the load consists of: one image of Fashion-MNIST, in three forms."""

import json

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.client import post
from benchmarks.serving.server import png

INFER = "/v2/models/{}/infer"


def as_file(image: NDArray[np.uint8]) -> bytes:
    """A PNG file for POST /predict."""
    return post("/predict", png(image), "image/png")


def as_json(image: NDArray[np.uint8], model: str) -> bytes:
    """A tensor as the Open Inference Protocol sends it."""
    described = {**_described(image), "data": image.ravel().tolist()}
    body = json.dumps({"inputs": [described]}).encode()
    return post(INFER.format(model), body, "application/json")


def as_bytes(image: NDArray[np.uint8], model: str) -> bytes:
    """A tensor in the protocol's binary form."""
    described = {**_described(image), "parameters": {"binary_data_size": image.size}}
    head = json.dumps({"inputs": [described]}).encode()
    return post(
        INFER.format(model),
        head + image.tobytes(),
        f"application/octet-stream\r\nInference-Header-Content-Length: {len(head)}",
    )


def _described(image: NDArray[np.uint8]) -> dict[str, object]:
    return {"name": "images", "datatype": "UINT8", "shape": [1, *image.shape]}
