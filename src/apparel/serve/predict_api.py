"""Endpoints for people and their scripts: image files in, labels with probabilities out."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from apparel.core.records import Answer, FailedImage
from apparel.serve.limits import HttpError
from apparel.serve.service import Service

FILES_FIELD = "files"
FORM = "multipart/form-data"
# Limits of form fields that are no files, of which the API has none.
MAX_FIELDS, MAX_FIELD_BYTES = 8, 4096
MAX_NAME_LENGTH = 200
TITLES = {"fashion-mnist": "Fashion-MNIST"}


class PredictApi:
    """Endpoints `/predict` and `/model`."""

    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._name = name

    def routes(self) -> list[Route]:
        """List the endpoints."""
        return [Route("/model", self.model), Route("/predict", self.predict, methods=["POST"])]

    async def model(self, _request: Request) -> Response:
        """Describe the model and its limits."""
        predictor, limits = self._service.predictor, self._service.limits
        facts = predictor.facts
        return JSONResponse(
            {
                "name": self._name,
                "class_names": list(predictor.class_names),
                "img_shape": list(predictor.img_shape),
                "threshold": predictor.threshold,
                "takes_photos": predictor.takes_photos,
                "tells_novelty": predictor.tells_novelty,
                "dataset": TITLES.get(facts.dataset, facts.dataset) or None,
                "accuracy": facts.accuracy,
                "examples": [
                    {"label": label, "image": f"data:image/png;base64,{png}"}
                    for label, png in facts.examples
                ],
                "limits": {"body_bytes": limits.body_bytes, "images": limits.images},
                "runtime": predictor.runtime,
            }
        )

    async def predict(self, request: Request) -> Response:
        """Classify image files."""
        options = {name: _flag(request, name) for name in ("raw", "explain")}
        files = await self._files(request)
        explained = await self._service.answer_files(files, **options)
        found = [self._described(answer, evidence) for answer, evidence in explained]
        any_read = any("error" not in one for one in found)
        return JSONResponse({"predictions": found}, 200 if any_read else 422)

    async def _files(self, request: Request) -> list[tuple[str, bytes]]:
        """Read the names and contents of the files; refuse a request without any."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith("image/") or kind == "application/octet-stream":
            files = [("image", await request.body())]
        elif kind == FORM:
            files = await self._files_of_form(request)
        else:
            raise HttpError(
                415,
                f"Send image files as {FORM} in the field '{FILES_FIELD}', or one image as the "
                "body with its own type, for example image/png.",
            )
        if not any(content for _, content in files):
            raise HttpError(
                422, f"No image was sent. Send image files in the field '{FILES_FIELD}'."
            )
        return files

    async def _files_of_form(self, request: Request) -> list[tuple[str, bytes]]:
        """Read the files of a form; refuse one that is malformed or has too many."""
        max_files = self._service.limits.images
        # Python knows many character sets, and the decoders of some fail or give surrogates.
        _, options = parse_options_header(request.headers.get("content-type", ""))
        if options.get(b"charset", b"utf-8").lower() not in {b"utf-8", b"utf8"}:
            raise HttpError(400, "The form is malformed: its charset must be utf-8.")
        try:
            async with request.form(
                max_files=max_files, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
            ) as form:
                return [
                    (_shown(file.filename), await file.read())
                    for file in form.getlist(FILES_FIELD)
                    if isinstance(file, UploadFile)
                ]
        except HTTPException as error:
            if error.detail.startswith("Too many files"):
                raise HttpError(413, f"At most {max_files} images are allowed at once.") from error
            raise HttpError(400, f"The form is malformed: {error.detail}") from error

    def _described(self, answer: Answer, evidence: NDArray[np.float32] | None) -> dict[str, Any]:
        """Describe the answer to one image."""
        if isinstance(answer, FailedImage):
            return {"name": answer.name, "error": answer.problem}
        described: dict[str, Any] = {
            "name": answer.name,
            "label": answer.label,
            "confidence": answer.confidence,
            "sure": answer.confidence >= (self._service.predictor.threshold or 0),
            "probabilities": dict(
                zip(answer.class_names, answer.probabilities.tolist(), strict=True)
            ),
            "novelty": answer.novelty,
            "unlike": answer.is_unlike,
            "steps": list(answer.steps),
        }
        if evidence is not None:
            described["image"] = _data_address(np.asarray(answer.image, np.uint8))
            described["map"] = evidence.round(3).tolist()
        return described


def _flag(request: Request, name: str) -> bool:
    """Read a query parameter that is true or false; refuse another value."""
    value = request.query_params.get(name, "false")
    if value not in {"true", "false"}:
        raise HttpError(400, f"The parameter {name} must be true or false.")
    return value == "true"


def _shown(name: str | None) -> str:
    """Shorten a file's name for messages."""
    return (name or "image").replace("\\", "/").rpartition("/")[2][-MAX_NAME_LENGTH:] or "image"


def _data_address(image: NDArray[np.uint8]) -> str:
    """Encode an image as a PNG file in a data: address."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
