"""The Open Inference Protocol, version 2, for programs: tensors in JSON, or as bytes behind it.

The protocol: https://github.com/kserve/open-inference-protocol. Its binary extension is that of
NVIDIA Triton: the header Inference-Header-Content-Length gives the length of the JSON part; each
tensor's bytes follow, in the order of the tensors.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from apparel._version import __version__
from apparel.core.model_formats import IMAGES, NOVELTY, PROBABILITIES
from apparel.serve.limits import HttpError
from apparel.serve.service import Service

VERSION = "1"
HEADER_LENGTH = "inference-header-content-length"
MAX_PIXEL = 255
MAX_DIGITS = 20
# Commas and brackets of a request that do not belong to its pixels.
MAX_OTHER_PARTS = 4096

NAMES = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}
Json_ = TypeVar("Json_")


class OpenInference:
    """Endpoints of the protocol for one model."""

    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._name = name
        tells_novelty = service.predictor.tells_novelty
        self._outputs = [PROBABILITIES, *([NOVELTY] if tells_novelty else [])]

    def routes(self) -> list[Route]:
        """List the endpoints."""
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
        """Name the server and its version."""
        return JSONResponse(
            {"name": "apparel", "version": __version__, "extensions": ["binary_tensor_data"]}
        )

    async def live(self, _request: Request) -> Response:
        """Tell that the server runs."""
        return JSONResponse({"live": True})

    async def ready(self, _request: Request) -> Response:
        """Tell whether the server accepts requests."""
        ready = self._service.is_ready
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def model_ready(self, request: Request) -> Response:
        """Tell whether the model accepts requests."""
        self._check_name(request)
        ready = self._service.is_ready
        return JSONResponse({"name": self._name, "ready": ready}, 200 if ready else 503)

    async def model(self, request: Request) -> Response:
        """Describe the model's inputs and outputs."""
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
        asked = InferRequest(
            await request.body(),
            request.headers.get(HEADER_LENGTH),
            img_shape=self._service.predictor.img_shape,
            output_names=self._outputs,
            max_images=self._service.limits.images,
        )
        answers = await self._service.answer_tensor(asked.images)
        values = {PROBABILITIES: np.stack([answer.probabilities for answer in answers])}
        if NOVELTY in self._outputs:
            values[NOVELTY] = np.array([answer.novelty for answer in answers], np.float32)
        described, tail = _outputs(asked, values)
        whole = {"model_name": self._name, "model_version": VERSION, "outputs": described}
        if asked.id is not None:
            whole["id"] = asked.id
        head = json.dumps(whole).encode()
        if not tail:
            return Response(head, media_type="application/json")
        headers = {HEADER_LENGTH: str(len(head))}
        return Response(head + tail, headers=headers, media_type="application/octet-stream")

    def _check_name(self, request: Request) -> None:
        """Refuse a request for another model, or another version of it."""
        params = request.path_params
        if params["name"] != self._name or params.get("version", VERSION) != VERSION:
            raise HttpError(
                404, f"There is no such model here, only {self._name}, version {VERSION}."
            )


class InferRequest:
    """A request for inference.

    Attributes:
        id: the client's name for the request; None for none.
        images: uint8, shape (n, h, w, c).
        outputs: names of the requested outputs, and whether each is wanted in binary form.
    """

    id: str | None
    images: NDArray[np.uint8]
    outputs: dict[str, bool]

    def __init__(
        self,
        body: bytes,
        header_length: str | None,
        *,
        img_shape: tuple[int, int, int],
        output_names: Sequence[str],
        max_images: int,
    ) -> None:
        """Read a request.

        Args:
            body: body of the HTTP request.
            header_length: value of the header with the length of the JSON part, if there is one.
            img_shape: height, width and channels.
            output_names: names of the model's outputs.
            max_images: number of images that one request may have.

        Raises:
            HttpError: it is malformed, too large, or asks for an unknown output.
        """
        n_json = _json_length(header_length, len(body))
        text = body[:n_json]
        _check_parts(text, img_shape, max_images)
        try:
            parsed = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise _malformed(f"its body is not JSON ({str(error)[:100]})") from error
        asked = _typed(parsed, dict, "the request")
        self.id = _typed(asked["id"], str, "id") if "id" in asked else None
        inputs = _typed(asked.get("inputs"), list, "inputs")
        tensor = _typed(inputs[0], dict, "an input") if len(inputs) == 1 else {}
        if tensor.get("name") != IMAGES:
            raise _malformed(f"it must have one input, which is called {IMAGES}")
        shape = _shape(tensor.get("shape"), img_shape)
        if tensor.get("datatype") != "UINT8":
            found = repr(tensor.get("datatype"))[:100]
            raise _malformed(f"the datatype of {IMAGES} must be UINT8, but is {found}")
        self.images = _pixels(tensor, shape, body[n_json:])
        self.outputs = _requested_outputs(asked, output_names)
        if shape[0] > max_images:
            raise _too_many(max_images, str(shape[0]))


def _outputs(
    asked: InferRequest, values: Mapping[str, NDArray[np.float32]]
) -> tuple[list[dict[str, Any]], bytes]:
    """Describe the requested outputs, and collect the bytes of those wanted in binary form."""
    outputs, tail = [], b""
    for name, binary in asked.outputs.items():
        value = values[name]
        output: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(value.shape)}
        if binary:
            content = value.astype("<f4").tobytes()
            output["parameters"] = {"binary_data_size": len(content)}
            tail += content
        else:
            output["data"] = value.ravel().tolist()
        outputs.append(output)
    return outputs, tail


def _malformed(what: str) -> HttpError:
    return HttpError(400, f"The request is no inference request: {what}.")


def _too_many(max_images: int, found: str) -> HttpError:
    return HttpError(
        413,
        f"A request may have {max_images} images, but this one has {found}. Send them in several "
        "requests.",
    )


def _json_length(header: str | None, n_body: int) -> int:
    """Find the length of the JSON part; refuse an impossible header."""
    if header is None:
        return n_body
    is_number = header.isascii() and header.isdigit() and len(header) <= MAX_DIGITS
    length = int(header) if is_number else n_body + 1
    if length > n_body:
        raise _malformed(f"{HEADER_LENGTH} is {header[:20]!r}, but the body has {n_body:,} bytes")
    return length


def _check_parts(text: bytes, img_shape: tuple[int, int, int], max_images: int) -> None:
    """Refuse JSON of far more values, arrays and objects than a request can need.

    They are counted before parsing, as 8 MiB of JSON can take 200 MiB and a second to parse.
    """
    height, width, channels = img_shape
    # Each value has a comma behind it, and each pixel, row and image may be an array.
    per_image = 1 + height * (1 + width * (1 + channels))
    # Twice as many, so that a request with some images too many learns their number.
    if sum(map(text.count, (b",", b"[", b"{"))) > 2 * max_images * per_image + MAX_OTHER_PARTS:
        raise _too_many(max_images, "far more")


def _refuse_constant(name: str) -> object:
    """Refuse NaN and the infinities, which Python would accept."""
    raise ValueError(f"{name} is no JSON")


def _typed(value: object, kind: type[Json_], what: str) -> Json_:
    """Refuse a JSON value of another type."""
    if not isinstance(value, kind):
        raise _malformed(f"{what} must be {NAMES[kind]}")
    return value


def _flag(owner: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """Read one of the parameters of a request, an input or an output."""
    parameters = _typed(owner.get("parameters", {}), dict, "parameters")
    return _typed(parameters.get(name, default), bool, f"the parameter {name}")


def _shape(value: object, img_shape: tuple[int, int, int]) -> tuple[int, ...]:
    """Read the shape of the input; refuse one that does not fit the model."""
    shape = _typed(value, list, f"the shape of {IMAGES}")
    if any(type(size) is not int for size in shape) or shape[1:] != list(img_shape):
        wanted = ", ".join(map(str, img_shape))
        raise _malformed(f"the shape of {IMAGES} must be [n, {wanted}], but is {str(shape)[:100]}")
    # Python refuses to write much larger numbers.
    if not 1 <= shape[0] < 10**MAX_DIGITS:
        raise _malformed(f"{IMAGES} must have at least one image, and not so many")
    return tuple(shape)


def _pixels(tensor: Mapping[str, Any], shape: tuple[int, ...], tail: bytes) -> NDArray[np.uint8]:
    """Read the images, from JSON or from the bytes behind it; refuse other values."""
    count = math.prod(shape)
    size = _typed(tensor.get("parameters", {}), dict, "parameters").get("binary_data_size")
    if size is not None:
        if type(size) is not int or size != count or len(tail) != count or "data" in tensor:
            raise _malformed(
                f"{IMAGES} of this shape has {count:,} bytes, but binary_data_size is "
                f"{str(size)[:20]} and {len(tail):,} bytes follow the JSON part"
            )
        return np.frombuffer(tail, np.uint8).reshape(shape)
    if tail:
        raise _malformed(
            f"{len(tail):,} bytes follow the JSON part, but no input has binary_data_size"
        )
    flat = _flattened(_typed(tensor.get("data"), list, f"the data of {IMAGES}"), shape)
    if len(flat) != count:
        raise _malformed(
            f"{IMAGES} of this shape has {count:,} values, but {len(flat):,} were sent"
        )
    if set(map(type, flat)) != {int} or not 0 <= min(flat) <= max(flat) <= MAX_PIXEL:
        raise _malformed(f"{IMAGES} must have whole numbers from 0 to 255")
    return np.frombuffer(bytes(flat), np.uint8).reshape(shape)


def _flattened(data: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Flatten an array that is flat already, or nested as its shape says; refuse others."""
    for size in shape[1:]:
        if not data or not isinstance(data[0], list):
            break
        if not all(isinstance(part, list) and len(part) == size for part in data):
            raise _malformed(f"the data of {IMAGES} must be flat, or nested as their shape says")
        data = [value for part in data for value in part]
    return data


def _requested_outputs(asked: Mapping[str, Any], names: Sequence[str]) -> dict[str, bool]:
    """List the outputs that are wanted, and whether in binary form; all of them by default."""
    binary = _flag(asked, "binary_data_output")
    wanted: dict[str, bool] = {}
    for entry in _typed(asked.get("outputs", []), list, "outputs"):
        output = _typed(entry, dict, "an output")
        name = output.get("name")
        if name not in names:
            raise _malformed(f"there is no output {str(name)[:100]!r}, only {', '.join(names)}")
        wanted[str(name)] = _flag(output, "binary_data", default=binary)
    return wanted or dict.fromkeys(names, binary)
