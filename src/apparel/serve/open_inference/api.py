"""The Open Inference Protocol, version 2, for programs."""

from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from apparel._version import __version__
from apparel.core.model_formats import IMAGES, NOVELTY, PROBABILITIES
from apparel.serve.http_errors import HttpError
from apparel.serve.open_inference.tensors import HEADER_LENGTH, InferRequest, infer_response
from apparel.serve.service import Service

VERSION = "1"


class OpenInference:
    """Endpoints of the protocol for one model."""

    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._name = name
        tells_novelty = service.predictor.tells_novelty
        self._outputs = [PROBABILITIES, *([NOVELTY] if tells_novelty else [])]

    def routes(self) -> list[Route]:
        """Where they are."""
        routes = [
            Route("/v2", self.server),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
        ]
        for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            routes += [
                Route(model, self.model),
                Route(f"{model}/ready", self.model_ready),
                Route(f"{model}/infer", self.infer, methods=["POST"]),
            ]
        return routes

    async def server(self, _request: Request) -> Response:
        """What this server is."""
        return JSONResponse(
            {"name": "apparel", "version": __version__, "extensions": ["binary_tensor_data"]}
        )

    async def live(self, _request: Request) -> Response:
        """Whether the server runs."""
        return JSONResponse({"live": True})

    async def ready(self, _request: Request) -> Response:
        """Whether it takes requests."""
        ready = self._service.is_ready
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def model_ready(self, request: Request) -> Response:
        """Whether the model takes requests."""
        self._check_name(request)
        ready = self._service.is_ready
        return JSONResponse({"name": self._name, "ready": ready}, 200 if ready else 503)

    async def model(self, request: Request) -> Response:
        """What the model takes and gives."""
        self._check_name(request)
        predictor = self._service.predictor
        shapes = {PROBABILITIES: [-1, len(predictor.class_names)], NOVELTY: [-1]}
        described: dict[str, Any] = {
            "name": self._name,
            "versions": [VERSION],
            "platform": "onnx",
            "inputs": [{"name": IMAGES, "datatype": "UINT8", "shape": [-1, *predictor.img_shape]}],
            "outputs": [
                {"name": name, "datatype": "FP32", "shape": shapes[name]} for name in self._outputs
            ],
            "parameters": {"class_names": list(predictor.class_names)},
        }
        return JSONResponse(described)

    async def infer(self, request: Request) -> Response:
        """Answer a tensor of images."""
        self._check_name(request)
        predictor = self._service.predictor
        asked = InferRequest(
            await request.body(),
            request.headers.get(HEADER_LENGTH),
            img_shape=predictor.img_shape,
            given=self._outputs,
            most_images=self._service.limits.images,
        )
        answers = await self._service.answer_tensor(asked.images)
        values = {PROBABILITIES: np.stack([answer.probabilities for answer in answers])}
        if NOVELTY in self._outputs:
            values[NOVELTY] = np.array([answer.novelty for answer in answers], np.float32)
        body, n_json = infer_response(asked, values, model_name=self._name, model_version=VERSION)
        if n_json is None:
            return Response(body, media_type="application/json")
        headers = {HEADER_LENGTH: str(n_json)}
        return Response(body, headers=headers, media_type="application/octet-stream")

    def _check_name(self, request: Request) -> None:
        """Refuse requests for other models.

        Raises:
            HttpError: there is no such model, or no such version of it.
        """
        params = request.path_params
        if params["name"] != self._name or params.get("version", VERSION) != VERSION:
            raise HttpError(
                404, f"There is no such model here, only {self._name}, version {VERSION}."
            )
