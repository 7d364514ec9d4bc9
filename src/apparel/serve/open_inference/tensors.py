"""Tensors as the Open Inference Protocol sends them: JSON, or bytes behind it.

The protocol, version 2: https://github.com/kserve/open-inference-protocol. Its binary extension, as
in NVIDIA Triton: the header Inference-Header-Content-Length tells how long the JSON part is; each
tensor's bytes follow, in the order of the tensors.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core.model_formats import IMAGES
from apparel.serve.http_errors import HttpError

MAX_PIXEL = 255
HEADER_LENGTH = "inference-header-content-length"
LONGEST_NUMBER = 20
# Commas and brackets of a request that are not those of its pixels.
MOST_OTHER_PARTS = 4096


class InferRequest:
    """What a client asks for.

    Attributes:
        id: what it calls the request; None for nothing.
        images: uint8, shape (n, h, w, c).
        outputs: names of the outputs that it wants, and whether in binary form.
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
        given: Sequence[str],
        most_images: int,
    ) -> None:
        """Read a request.

        Args:
            body: of the HTTP request.
            header_length: the value of the header that tells how long the JSON part is, if any.
            img_shape: height, width and channels.
            given: the outputs that there are.
            most_images: that one request may have.

        Raises:
            HttpError: it is none, or asks for what there is not.
        """
        n_json = _length(header_length, len(body))
        text = body[:n_json]
        _check_parts(text, img_shape, most_images)
        asked = _object(_parsed(text), "the request")
        self.id = _text(asked["id"], "id") if "id" in asked else None
        parameters = _object(asked.get("parameters", {}), "parameters")
        tensor = _only_input(asked)
        shape = _shape(tensor.get("shape"), img_shape)
        if tensor.get("datatype") != "UINT8":
            given_type = repr(tensor.get("datatype"))[:100]
            raise _bad(f"the datatype of {IMAGES} must be UINT8, but is {given_type}")
        self.images = _pixels(tensor, shape, body[n_json:])
        self.outputs = _outputs(asked, given, _flag(parameters, "binary_data_output"))
        if shape[0] > most_images:
            raise _too_many(most_images, str(shape[0]))


def infer_response(
    asked: InferRequest,
    values: Mapping[str, NDArray[np.float32]],
    *,
    model_name: str,
    model_version: str,
) -> tuple[bytes, int | None]:
    """Write the answer to a request.

    Args:
        asked: the request.
        values: each output, shape (n, …).
        model_name: what the model is called.
        model_version: likewise.

    Returns:
        The body, and how long its JSON part is, where bytes follow it.
    """
    outputs, tail = [], []
    for name, binary in asked.outputs.items():
        value = values[name]
        output: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(value.shape)}
        if binary:
            tail.append(value.astype("<f4").tobytes())
            output["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            output["data"] = value.ravel().tolist()
        outputs.append(output)
    answer: dict[str, Any] = {"model_name": model_name, "model_version": model_version}
    if asked.id is not None:
        answer["id"] = asked.id
    answer["outputs"] = outputs
    head = json.dumps(answer).encode()
    return b"".join([head, *tail]), len(head) if tail else None


def _bad(what: str) -> HttpError:
    """A request is malformed."""
    return HttpError(400, f"The request is no inference request: {what}.")


def _length(header: str | None, n_body: int) -> int:
    """How long the JSON part is.

    Raises:
        HttpError: the header makes no sense.
    """
    if header is None:
        return n_body
    is_number = header.isascii() and header.isdigit() and len(header) <= LONGEST_NUMBER
    length = int(header) if is_number else n_body + 1
    if length > n_body:
        raise _bad(f"{HEADER_LENGTH} is {header[:20]!r}, but the body has {n_body:,} bytes")
    return length


def _check_parts(text: bytes, img_shape: tuple[int, int, int], most_images: int) -> None:
    """Refuse JSON of far more values, arrays and objects than a request can need.

    It is counted before it is read, since what is read of 8 MiB can take 200 MiB and a second.

    Raises:
        HttpError: it has far more.
    """
    height, width, channels = img_shape
    # Each value has a comma behind it, and each pixel, row and image may be an array.
    of_image = 1 + height * (1 + width * (1 + channels))
    # Twice as many, so that a request with some images too many is told so.
    most = 2 * most_images * of_image + MOST_OTHER_PARTS
    if sum(map(text.count, (b",", b"[", b"{"))) > most:
        raise _too_many(most_images, "far more")


def _too_many(most_images: int, found: str) -> HttpError:
    """A request has too many images."""
    return HttpError(
        413,
        f"A request may have {most_images} images, but this one has {found}. Send them in several "
        "requests.",
    )


def _parsed(text: bytes) -> object:
    """Read JSON.

    Raises:
        HttpError: it is none.
    """
    try:
        parsed: object = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _bad(f"its body is not JSON ({str(error)[:100]})") from error
    return parsed


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _object(value: object, what: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        HttpError: it is something else.
    """
    if not isinstance(value, dict):
        raise _bad(f"{what} must be a JSON object")
    return value


def _list(value: object, what: str) -> list[Any]:
    """A JSON array.

    Raises:
        HttpError: it is something else.
    """
    if not isinstance(value, list):
        raise _bad(f"{what} must be a JSON array")
    return value


def _text(value: object, what: str) -> str:
    """A string.

    Raises:
        HttpError: it is something else.
    """
    if not isinstance(value, str):
        raise _bad(f"{what} must be a string")
    return value


def _flag(parameters: Mapping[str, Any], name: str) -> bool:
    """A parameter that is true or false.

    Raises:
        HttpError: it is something else.
    """
    value = parameters.get(name, False)
    if not isinstance(value, bool):
        raise _bad(f"the parameter {name} must be true or false")
    return value


def _only_input(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The one input that there is.

    Raises:
        HttpError: there is another, or none.
    """
    inputs = _list(asked.get("inputs"), "inputs")
    if len(inputs) != 1 or _object(inputs[0], "an input").get("name") != IMAGES:
        raise _bad(f"it must have one input, which is called {IMAGES}")
    found: dict[str, Any] = inputs[0]
    return found


def _shape(value: object, img_shape: tuple[int, int, int]) -> tuple[int, ...]:
    """The shape of the input.

    Raises:
        HttpError: it does not fit the model.
    """
    shape = _list(value, f"the shape of {IMAGES}")
    if any(type(size) is not int for size in shape) or shape[1:] != list(img_shape):
        wanted = ", ".join(map(str, img_shape))
        raise _bad(f"the shape of {IMAGES} must be [n, {wanted}], but is {str(shape)[:100]}")
    if shape[0] < 1:
        raise _bad(f"{IMAGES} must have at least one image")
    if shape[0] >= 10**LONGEST_NUMBER:  # Python refuses to write much larger numbers
        raise _bad(f"{IMAGES} cannot be so many")
    return tuple(shape)


def _pixels(tensor: Mapping[str, Any], shape: tuple[int, ...], tail: bytes) -> NDArray[np.uint8]:
    """The images, from JSON or from the bytes behind it.

    Raises:
        HttpError: they are too many or too few, or no numbers from 0 to 255.
    """
    count = math.prod(shape)
    parameters = _object(tensor.get("parameters", {}), "parameters")
    size = parameters.get("binary_data_size")
    if size is not None:
        if type(size) is not int or size != count or len(tail) != count or "data" in tensor:
            raise _bad(
                f"{IMAGES} of this shape has {count:,} bytes, but binary_data_size is "
                f"{str(size)[:20]} and {len(tail):,} bytes follow the JSON part"
            )
        return np.frombuffer(tail, np.uint8).reshape(shape)
    if tail:
        raise _bad(f"{len(tail):,} bytes follow the JSON part, but no input has binary_data_size")
    flat = _flattened(_list(tensor.get("data"), f"the data of {IMAGES}"), shape)
    if len(flat) != count:
        raise _bad(f"{IMAGES} of this shape has {count:,} values, but {len(flat):,} were sent")
    if set(map(type, flat)) != {int} or not 0 <= min(flat) <= max(flat) <= MAX_PIXEL:
        raise _bad(f"{IMAGES} must have whole numbers from 0 to 255")
    return np.frombuffer(bytes(flat), np.uint8).reshape(shape)


def _flattened(data: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Values of an array that is flat, or nested as its shape says.

    Raises:
        HttpError: it is nested in another way.
    """
    for size in shape[1:]:
        if not data or not isinstance(data[0], list):
            break
        if not all(isinstance(part, list) and len(part) == size for part in data):
            raise _bad(f"the data of {IMAGES} must be flat, or nested as their shape says")
        data = [value for part in data for value in part]
    return data


def _outputs(asked: Mapping[str, Any], given: Sequence[str], binary: bool) -> dict[str, bool]:
    """The outputs that are wanted, and whether in binary form.

    Raises:
        HttpError: there is no such output.
    """
    if "outputs" not in asked:
        return dict.fromkeys(given, binary)
    wanted: dict[str, bool] = {}
    for entry in _list(asked["outputs"], "outputs"):
        output = _object(entry, "an output")
        name = output.get("name")
        if name not in given:
            raise _bad(f"there is no output {str(name)[:100]!r}, only {', '.join(given)}")
        parameters = _object(output.get("parameters", {}), "parameters")
        chosen = "binary_data" in parameters
        wanted[str(name)] = _flag(parameters, "binary_data") if chosen else binary
    return wanted or dict.fromkeys(given, binary)
