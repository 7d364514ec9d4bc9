"""The Open Inference Protocol: tensors in, tensors out."""

import json

import numpy as np
import pytest

from tests.made_model import NAMES


def tensor(images, **further):
    """Describe images as the protocol's input."""
    return {
        "name": "images",
        "datatype": "UINT8",
        "shape": list(images.shape),
        "data": images.ravel().tolist(),
        **further,
    }


def test_the_server_names_itself_and_is_ready(server):
    assert server.ask("/v2").json["name"] == "apparel"
    assert server.ask("/v2").json["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/m/ready"):
        assert server.ask(path).status == 200


@pytest.mark.parametrize("path", ["/v2/models/m", "/v2/models/m/versions/1"])
def test_the_model_is_described(server, path):
    described = server.ask(path).json
    assert described["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 8, 9, 1]}]
    assert described["outputs"] == [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "novelty", "datatype": "FP32", "shape": [-1]},
    ]
    assert described["parameters"]["class_names"] == list(NAMES)


@pytest.mark.parametrize("path", ["/v2/models/x/ready", "/v2/models/m/versions/2"])
def test_other_models_and_versions_are_not_found(server, path):
    answer = server.ask(path)
    assert answer.status == 404
    assert "only m, version 1" in answer.json["error"]


@pytest.mark.parametrize("nested", [False, True])
def test_json_tensors_are_answered(server, made, nested):
    images = made.images(3)
    data = images.tolist() if nested else images.ravel().tolist()
    answer = server.infer({"id": "7", "inputs": [tensor(images, data=data)]}).json
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("m", "1", "7")
    probabilities, novelty = answer["outputs"]
    assert probabilities["shape"] == [3, 3]
    np.testing.assert_allclose(
        np.reshape(probabilities["data"], (3, 3)), made.probabilities(images), atol=1e-5
    )
    np.testing.assert_allclose(novelty["data"], made.novelty(images), rtol=1e-5)


def test_binary_tensors_are_answered_in_binary(server, made):
    images = made.images(5)
    described = tensor(images, parameters={"binary_data_size": images.size})
    del described["data"]
    outputs = [
        {"name": "novelty", "parameters": {"binary_data": False}},
        {"name": "probabilities"},
    ]
    asked = {"inputs": [described], "outputs": outputs, "parameters": {"binary_data_output": True}}
    head = json.dumps(asked).encode()
    answer = server.ask(
        "/v2/models/m/infer",
        head + images.tobytes(),
        Inference_Header_Content_Length=str(len(head)),
    )
    n_json = int(answer.headers["inference-header-content-length"])
    novelty, output = json.loads(answer.body[:n_json])["outputs"]
    assert len(novelty["data"]) == 5
    assert output["parameters"] == {"binary_data_size": 5 * 3 * 4}
    found = np.frombuffer(answer.body[n_json:], "<f4").reshape(5, 3)
    np.testing.assert_allclose(found, made.probabilities(images), atol=1e-5)


MALFORMED = {
    "nothing": (b"", "not JSON"),
    "NaN": (b'{"inputs": NaN}', "NaN is no JSON"),
    "deep": (b"[" * 10_000, "recursion depth exceeded"),
    "no inputs": (b"{}", "inputs must be an array"),
    "two inputs": ({"inputs": [{}, {}]}, "one input"),
    "other type": ({"datatype": "FP32"}, "must be UINT8, but is 'FP32'"),
    "other shape": ({"shape": [1, 9, 8, 1]}, "must be [n, 8, 9, 1], but is [1, 9, 8, 1]"),
    "no image": ({"shape": [0, 8, 9, 1], "data": []}, "at least one image"),
    "images of many digits": ({"shape": [int("9" * 4299), 8, 9, 1]}, "and not so many"),
    "too few": ({"data": [0] * 71}, "has 72 values, but 71 were sent"),
    "fraction": ({"data": [1.0] * 72}, "whole numbers from 0 to 255"),
    "256": ({"data": [256] * 72}, "whole numbers from 0 to 255"),
    "uneven": ({"data": [[0] * 71, [0]]}, "flat, or nested as their shape says"),
    "bytes are missing": ({"parameters": {"binary_data_size": 72}}, "0 bytes follow"),
    "size is text": ({"parameters": {"binary_data_size": "72"}}, "binary_data_size is 72"),
    "unknown output": ({"outputs": [{"name": "x"}]}, "no output 'x', only probabilities, novelty"),
    "flag is a number": (
        {"outputs": [{"name": "novelty", "parameters": {"binary_data": 1}}]},
        "the parameter binary_data must be true or false",
    ),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_requests_are_refused_with_a_reason(server, made, what):
    body, why = MALFORMED[what]
    if isinstance(body, dict) and "inputs" not in body:
        of_request = {key: value for key, value in body.items() if key == "outputs"}
        of_input = {key: value for key, value in body.items() if key not in of_request}
        body = {"inputs": [tensor(made.images(1)) | of_input], **of_request}
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = server.ask("/v2/models/m/infer", body)
    assert answer.status == 400
    assert answer.json["error"].startswith("The request is no inference request: ")
    assert why in answer.json["error"]
    assert len(answer.body) < 400


@pytest.mark.parametrize(
    ("length", "why"),
    [
        *[(length, "-length is ") for length in ("-1", "99999", "0" * 5000, "²")],
        (None, "3 bytes follow the JSON part"),  # the true one
    ],
)
def test_bytes_behind_the_json_part_are_declared(server, made, length, why):
    head = json.dumps({"inputs": [tensor(made.images(1))]}).encode()
    length = length or str(len(head))
    answer = server.ask("/v2/models/m/infer", head + b"abc", Inference_Header_Content_Length=length)
    assert answer.status == 400
    assert why in answer.json["error"]


def test_too_many_images_are_counted_and_far_more_are_not_parsed(server, made):
    answer = server.infer({"inputs": [tensor(made.images(65))]})
    assert answer.status == 413
    assert "may have 64 images, but this one has 65" in answer.json["error"]
    for part in (b"[]", b"{}", b"0"):
        body = b'{"inputs":[' + b",".join([part] * 30_000) + b"]}"
        answer = server.ask("/v2/models/m/infer", body)
        assert answer.status == 413
        assert "this one has far more" in answer.json["error"]


def test_the_most_images_may_be_nested_and_indented(server, made):
    images = made.images(64)
    asked = {"inputs": [tensor(images, data=images.tolist())]}
    assert server.ask("/v2/models/m/infer", json.dumps(asked, indent=8).encode()).status == 200
