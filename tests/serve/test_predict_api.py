"""Image files in, labels with probabilities out."""

import asyncio
import time
from functools import partial

import numpy as np
import pytest
from benchmarks.serving.server import form, png

from apparel.serve import service as service_module
from apparel.serve.limits import HttpError
from tests.made_model import NAMES
from tests.serve.conftest import THRESHOLD


def test_image_files_are_classified_and_a_broken_one_is_named(server, made):
    images = made.images(2)
    answer = server.predict(
        ("a.png", png(images[0])), ("b.png", b"no image"), ("c.png", png(images[1]))
    )
    assert answer.status == 200
    a, b, c = answer.json["predictions"]
    assert b["name"] == "b.png"
    assert "b.png is no image of a format that is read" in b["error"]
    expected, novelty = made.probabilities(images), made.novelty(images)
    for found, row, score in zip((a, c), expected, novelty, strict=True):
        np.testing.assert_allclose(list(found["probabilities"].values()), row, atol=1e-5)
        assert list(found["probabilities"]) == list(NAMES)
        assert found["label"] == NAMES[row.argmax()]
        assert found["confidence"] == pytest.approx(row.max(), abs=1e-5)
        assert found["sure"] == (row.max() >= THRESHOLD)
        assert found["novelty"] == pytest.approx(score, rel=1e-5)
        assert found["unlike"] == (score > 1)
        assert "map" not in found


def test_a_map_shows_the_pixels_that_mattered(server, made, predictor):
    images = made.images(1)
    found = server.predict(("a.png", png(images[0])), ("b.png", b""), query="?explain=true").json
    evidence = np.array(found["predictions"][0]["map"])
    assert (evidence.min(), evidence.max()) == (0, 1)
    np.testing.assert_allclose(evidence, predictor.explain(images)[0], atol=1e-3)
    assert found["predictions"][0]["image"].startswith("data:image/png;base64,")
    assert "map" not in found["predictions"][1]


@pytest.mark.parametrize(
    ("body", "kind", "status", "why"),
    [
        (b"no image", "image/png", 422, None),
        (b"", "image/png", 422, "No image was sent"),
        (b"x", "text/plain", 415, "multipart/form-data"),
        (b"x", "multipart/form-data", 400, "malformed"),
        (form()[0], form()[1], 422, "No image was sent"),
        (form(*[("a", b"b")] * 65)[0], form()[1], 413, "At most 64 images"),
    ],
)
def test_bodies_without_an_image_are_refused(server, body, kind, status, why):
    answer = server.ask("/predict", body, Content_Type=kind)
    assert answer.status == status
    if why:
        assert why in answer.json["error"]
    else:
        assert "is no image" in answer.json["predictions"][0]["error"]


def test_a_form_is_in_utf_8(server):
    body, kind = form((r"\ud800+2AA-ä.png", b"no image"))
    for charset in ("undefined", "unicode_escape", "utf-7"):
        answer = server.ask("/predict", body, Content_Type=f"{kind}; charset={charset}")
        assert answer.status == 400
        assert "charset must be utf-8" in answer.json["error"]
    answer = server.ask("/predict", body, Content_Type=f'{kind}; charset="UTF-8"')
    assert answer.json["predictions"][0]["name"] == "ud800+2AA-ä.png"


def test_a_flag_is_true_or_false(server):
    assert server.ask("/predict?raw=1", b"x", Content_Type="image/png").status == 400


def test_the_page_learns_about_the_model(server):
    model = server.ask("/model").json
    assert model["class_names"] == list(NAMES)
    assert model["img_shape"] == [8, 9, 1]
    assert model["threshold"] == THRESHOLD
    assert model["dataset"] == "made up"
    assert (model["takes_photos"], model["tells_novelty"]) == (False, True)


@pytest.mark.parametrize("work", ["decoding", "explaining"])
def test_work_that_takes_too_long_is_given_up(server, work):
    taken = []
    steps = [partial(time.sleep, 0.05), partial(taken.append, 1), partial(taken.append, 2)]
    with pytest.raises(HttpError, match=f"{work} takes too long") as caught:
        asyncio.run(server.service._in_image_thread(work, steps, time.monotonic() + 0.01))
    assert caught.value.status == 503
    asyncio.run(server.service._in_image_thread(work, [lambda: None], time.monotonic() + 60))
    assert taken == []


def test_work_of_too_many_requests_is_refused(server, made, monkeypatch):
    monkeypatch.setattr(service_module, "MAX_WAITING", {"decoding": 0})
    answer = server.predict(*[("a.png", png(made.images(1)[0]))] * 2)
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert "0 requests wait for decoding" in answer.json["error"]
