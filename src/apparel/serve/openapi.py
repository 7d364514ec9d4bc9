"""What the API is, as OpenAPI 3.1 describes it."""

import math
from typing import Any

from apparel._version import __version__
from apparel.core.model_formats import IMAGES, NOVELTY, PROBABILITIES
from apparel.predict.predictor import Predictor
from apparel.serve.open_inference.api import VERSION

Json = dict[str, Any]

_ERRORS = {
    400: "The request is malformed.",
    401: "The token is missing or wrong.",
    403: "A page from elsewhere asks.",
    404: "There is no such model or version.",
    408: "The request did not arrive in time.",
    413: "The request is too large, or has too many images.",
    415: "The body is of a type that is not taken.",
    421: "The server is not known by the name in the Host header.",
    422: "No image could be read.",
    503: "The server is busy or about to end. Retry-After says when to try again.",
}
_EVERYWHERE = (400, 401, 403, 408, 421, 503)
_TEXT: Json = {"type": "string"}
_SHARE: Json = {"type": "number", "minimum": 0, "maximum": 1}


def describe(predictor: Predictor, name: str) -> Json:
    """Describe the API.

    Args:
        predictor: the model that is served.
        name: what the model is called.

    Returns:
        An OpenAPI document.
    """
    schemas = {"Error": _object(error=_TEXT), **_people(predictor), **_tensors(predictor)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{name}, served by apparel",
            "version": __version__,
            "description": "Images in, the classes that they show out. For programs it speaks the "
            "Open Inference Protocol, version 2; for people there is POST /predict.",
        },
        "paths": {**_people_paths(name), **_protocol_paths(name), **_page_paths()},
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _object(**properties: Json) -> Json:
    """A JSON object, all of whose properties are there."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _array(items: Json, **bounds: int) -> Json:
    return {"type": "array", "items": items, **bounds}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(
    summary: str, answer: Json, *errors: int, example: str | None = None, **further: Any
) -> Json:
    """One operation; `answer` is what it gives by media type."""
    responses: Json = {
        "200": {
            "description": "The answer.",
            "content": {kind: {"schema": schema} for kind, schema in answer.items()},
        }
    }
    for status in sorted({*_EVERYWHERE, *errors}):
        responses[str(status)] = {
            "description": _ERRORS[status],
            "content": {"application/json": {"schema": _ref("Error")}},
        }
    operation: Json = {"summary": summary, "responses": responses, **further}
    if example:
        operation["x-example"] = example
    return operation


def _json(schema: Json) -> Json:
    return {"application/json": schema}


def _people(predictor: Predictor) -> Json:
    """What the endpoints for people take and give."""
    height, width, _ = predictor.img_shape
    return {
        "Prediction": _object(
            name=_TEXT,
            label=_TEXT,
            confidence=_SHARE,
            sure={"type": "boolean"},
            probabilities={"type": "object", "additionalProperties": _SHARE},
            novelty=_or_null({"type": "number", "minimum": 0}),
            unlike=_or_null({"type": "boolean"}),
            steps=_array(_TEXT),
        )
        | {
            "description": "With explain=true also: image, as the model saw it, and map, how much "
            f"each of its {height} x {width} pixels mattered."
        },
        "FailedImage": _object(name=_TEXT, error=_TEXT),
        "Predictions": _object(
            predictions=_array({"anyOf": [_ref("Prediction"), _ref("FailedImage")]})
        ),
        "Model": {"type": "object", "required": ["name", "class_names", "img_shape"]},
    }


def _people_paths(name: str) -> Json:
    """The endpoints for people."""
    flag: Json = {"type": "boolean", "default": False}
    binary: Json = {"type": "string", "format": "binary"}
    parameters = [
        {"name": "explain", "in": "query", "schema": flag,
         "description": "Say which pixels the answers rest on."},
        {"name": "raw", "in": "query", "schema": flag,
         "description": "Take photos as they are."},
    ]  # fmt: skip
    form = {
        "type": "object",
        "properties": {"files": {"type": "array", "items": binary, "minItems": 1}},
        "required": ["files"],
    }
    predict = _operation(
        "Classify image files: PNG, JPEG, WebP, GIF, BMP or TIFF.",
        _json(_ref("Predictions")),
        413,
        415,
        422,
        example="curl -F files=@coat.jpg -F files=@boot.png http://localhost:8000/predict",
        parameters=parameters,
        requestBody={
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "image/png": {"schema": binary},
                "image/jpeg": {"schema": binary},
            },
        },
    )
    unreadable = {"anyOf": [_ref("Error"), _ref("Predictions")]}
    predict["responses"]["422"]["content"] = _json(unreadable)
    return {
        "/predict": {"post": predict},
        "/model": {"get": _operation(f"What {name} is and takes.", _json(_ref("Model")))},
    }


def _tensors(predictor: Predictor) -> Json:
    """What the endpoints of the protocol take and give."""
    size: Json = {"type": "integer", "minimum": 0}
    # How many images at most is not said here: too many get another status than what is malformed.
    shape: list[Json] = [{"type": "integer", "minimum": 1}]
    shape += [{"const": side} for side in predictor.img_shape]
    values = math.prod(predictor.img_shape)
    outputs = [PROBABILITIES, *([NOVELTY] if predictor.tells_novelty else [])]
    tensor = _object(name=_TEXT, datatype={"const": "FP32"}, shape=_array(size))
    return {
        "InferRequest": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": _TEXT,
                "parameters": {
                    "type": "object",
                    "properties": {"binary_data_output": {"type": "boolean"}},
                },
                "inputs": _array(
                    _object(
                        name={"const": IMAGES},
                        datatype={"const": "UINT8"},
                        shape={"type": "array", "prefixItems": shape, "minItems": 4, "maxItems": 4},
                        data=_array(
                            {"type": "integer", "minimum": 0, "maximum": 255},
                            minItems=values,
                        ),
                    ),
                    minItems=1,
                    maxItems=1,
                ),
                "outputs": _array(
                    {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"enum": outputs},
                            "parameters": {
                                "type": "object",
                                "properties": {"binary_data": {"type": "boolean"}},
                            },
                        },
                    }
                ),
            },
        },
        "InferResponse": _object(
            model_name=_TEXT, model_version={"const": VERSION}, outputs=_array(tensor)
        ),
    }


def _protocol_paths(name: str) -> Json:
    """The endpoints of the Open Inference Protocol."""
    anything = _json({"type": "object"})
    infer = _operation(
        "Classify images that are arrays already.",
        {**_json(_ref("InferResponse")), "application/octet-stream": {"type": "string"}},
        404,
        413,
        example=f"""curl http://localhost:8000/v2/models/{name}/infer -d '{{
  "inputs": [{{"name": "{IMAGES}", "datatype": "UINT8", "shape": [1, 28, 28, 1], "data": [...]}}]
}}'""",
        requestBody={
            "required": True,
            "content": {"application/json": {"schema": _ref("InferRequest")}},
        },
    )
    model = f"/v2/models/{name}"
    paths: Json = {
        "/v2": {"get": _operation("What this server is.", anything)},
        "/v2/health/live": {"get": _operation("Whether the server runs.", anything)},
        "/v2/health/ready": {"get": _operation("Whether it takes requests.", anything)},
    }
    for path in (model, f"{model}/versions/{VERSION}"):
        paths[path] = {"get": _operation("What the model takes and gives.", anything, 404)}
        paths[f"{path}/ready"] = {
            "get": _operation("Whether the model takes requests.", anything, 404)
        }
        paths[f"{path}/infer"] = {"post": infer}
    return paths


def _page_paths() -> Json:
    """What shows something."""
    return {
        "/": {"get": _operation("The page for people.", {"text/html": _TEXT})},
        "/docs": {"get": _operation("This description.", {"text/html": _TEXT})},
        "/metrics": {"get": _operation("Counts, for Prometheus.", {"text/plain": _TEXT})},
    }
