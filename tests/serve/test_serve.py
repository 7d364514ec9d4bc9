"""The server as its clients see it, over real connections."""

import http.client
import json
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import numpy as np
import pytest
from benchmarks.serving.client import post
from benchmarks.serving.hostile import slow_readers
from benchmarks.serving.server import HOST, form, png, serving

from apparel.predict.predictor import load
from tests.conftest import run_command
from tests.made_model import NAMES, MadeModel
from tests.serve.serving import tensor

NOVEL_FROM = 40.0
THRESHOLD = 0.6


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    return MadeModel(
        folder / "m.onnx",
        novelty_threshold=NOVEL_FROM,
        threshold=THRESHOLD,
        dataset={"source": "made up"},
    )


@pytest.fixture(scope="module")
def server(made, tmp_path_factory):
    with serving(made.path, tmp_path_factory.mktemp("log"), "--exact") as served:
        yield served


# -- the Open Inference Protocol ---------------------------------------------------------


def test_the_server_says_what_it_is_and_that_it_is_ready(server):
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


@pytest.mark.parametrize("path", ["/v2/models/x", "/v2/models/m/versions/2", "/v2/models/x/ready"])
def test_other_models_and_versions_are_not_there(server, path):
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
    head = json.dumps(
        {"inputs": [described], "outputs": [{"name": "probabilities"}],
         "parameters": {"binary_data_output": True}}
    ).encode()  # fmt: skip
    answer = server.ask(
        "/v2/models/m/infer",
        head + images.tobytes(),
        Inference_Header_Content_Length=str(len(head)),
    )
    n_json = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.body[:n_json])["outputs"]
    assert output["parameters"] == {"binary_data_size": 5 * 3 * 4}
    found = np.frombuffer(answer.body[n_json:], "<f4").reshape(5, 3)
    np.testing.assert_allclose(found, made.probabilities(images), atol=1e-5)


def test_one_output_alone_may_be_asked_for(server, made):
    images = made.images(1)
    answer = server.infer({"inputs": [tensor(images)], "outputs": [{"name": "novelty"}]}).json
    assert [output["name"] for output in answer["outputs"]] == ["novelty"]


MALFORMED = {
    "nothing": b"",
    "no JSON": b"{",
    "NaN": b'{"inputs": NaN}',
    "deep": b"[" * 10_000,
    "a list": b"[]",
    "no inputs": b"{}",
    "two inputs": {"inputs": [{}, {}]},
    "input is text": {"inputs": ["images"]},
    "other name": {"name": "x"},
    "other type": {"datatype": "FP32"},
    "other shape": {"shape": [1, 9, 8, 1]},
    "shape of text": {"shape": ["1", 8, 9, 1]},
    "shape with true": {"shape": [True, 8, 9, 1]},
    "no image": {"shape": [0, 8, 9, 1], "data": []},
    "negative": {"shape": [-1, 8, 9, 1]},
    "too few": {"data": [0] * 71},
    "too many": {"data": [0] * 73},
    "fraction": {"data": [0.5] * 72},
    "whole fraction": {"data": [1.0] * 72},
    "text": {"data": ["0"] * 72},
    "true": {"data": [True] * 72},
    "256": {"data": [256] * 72},
    "-1": {"data": [-1] * 72},
    "huge": {"data": [10**300] * 72},
    "uneven": {"data": [[0] * 71, [0]]},
    "no data": {"data": None},
    "bytes are missing": {"data": None, "parameters": {"binary_data_size": 72}},
    "size is text": {"parameters": {"binary_data_size": "72"}},
    "parameters are a list": {"parameters": []},
    "unknown output": {"outputs": [{"name": "x"}]},
    "output is text": {"outputs": ["probabilities"]},
    "outputs are an object": {"outputs": {}},
    "flag is a number": {"outputs": [{"name": "novelty", "parameters": {"binary_data": 1}}]},
    "outputs are null": {"outputs": None},
    "id is a number": {"id": 1},
    "id is null": {"id": None},
    "a size of many digits": {"shape": [1, 8, 9, int("9" * 4299)]},
    "images of many digits": {"shape": [int("9" * 4299), 8, 9, 1]},
    "a long type": {"datatype": "x" * 1000},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_requests_are_refused_with_a_reason(server, made, what):
    body = MALFORMED[what]
    if isinstance(body, dict) and "inputs" not in body:
        of_request = {key: value for key, value in body.items() if key in {"outputs", "id"}}
        of_input = {key: value for key, value in body.items() if key not in of_request}
        body = {"inputs": [tensor(made.images(1)) | of_input], **of_request}
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = server.ask("/v2/models/m/infer", body)
    assert answer.status == 400
    assert answer.json["error"].startswith("The request is no inference request: ")
    assert len(answer.body) < 400


@pytest.mark.parametrize("length", ["-1", "x", "99999", "1" * 100, "0" * 5000, "²"])
def test_a_length_that_makes_no_sense_is_refused(server, made, length):
    body = json.dumps({"inputs": [tensor(made.images(1))]}).encode()
    answer = server.ask(
        "/v2/models/m/infer",
        body,
        Inference_Header_Content_Length=length.encode().decode("latin-1"),
    )
    assert answer.status == 400


def test_too_many_images_at_once_are_too_large(server, made):
    answer = server.infer({"inputs": [tensor(made.images(65))]})
    assert answer.status == 413
    assert "may have 64 images, but this one has 65" in answer.json["error"]


@pytest.mark.parametrize("part", ["[]", "{}", "0", "{}, []"])
def test_json_of_more_parts_than_images_need_is_not_read(server, part):
    body = b'{"inputs":[' + b",".join([part.encode()] * 30_000) + b"]}"
    answer = server.ask("/v2/models/m/infer", body)
    assert answer.status == 413
    assert "this one has far more" in answer.json["error"]


def test_as_many_images_as_are_allowed_may_be_nested_and_pretty(server, made):
    images = made.images(64)
    request = {"inputs": [tensor(images, data=images.tolist())]}
    answer = server.ask("/v2/models/m/infer", json.dumps(request, indent=8).encode())
    assert answer.status == 200


# -- image files ---------------------------------------------------------------------------


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


def test_one_image_may_be_the_whole_body(server, made):
    images = made.images(1)
    answer = server.ask("/predict", png(images[0]), Content_Type="image/png")
    assert answer.json["predictions"][0]["label"] == NAMES[made.probabilities(images).argmax()]


def test_a_map_says_what_mattered(server, made):
    images = made.images(1)
    found = server.predict(("a.png", png(images[0])), query="?explain=true").json
    evidence = np.array(found["predictions"][0]["map"])
    assert evidence.shape == (8, 9)
    assert (evidence.min(), evidence.max()) == (0, 1)
    expected = load(made.path, exact=True).explain(images)[0]
    np.testing.assert_allclose(evidence, expected, atol=1e-3)
    assert found["predictions"][0]["image"].startswith("data:image/png;base64,")


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
def test_what_is_no_image_is_refused(server, body, kind, status, why):
    answer = server.ask("/predict", body, Content_Type=kind)
    assert answer.status == status
    if why:
        assert why in answer.json["error"]
    else:
        assert "is no image" in answer.json["predictions"][0]["error"]


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("undefined", "a.png"), ("idna", "xn--" + "a" * 99), ("unicode_escape", r"\ud800.png"),
        ("raw_unicode_escape", r"\ud800.png"), ("utf-7", "+2AA-.png"), ("latin-1", "a.png"),
    ],
)  # fmt: skip
def test_a_form_in_another_encoding_is_refused(server, charset, name):
    body, kind = form((name, b"no image"))
    answer = server.ask("/predict", body, Content_Type=f"{kind}; charset={charset}")
    assert answer.status == 400
    assert "charset must be utf-8" in answer.json["error"]
    assert server.tracebacks() == 0


def test_a_form_may_say_that_it_is_utf_8(server):
    body, kind = form(("ä.png", b"no image"))
    answer = server.ask("/predict", body, Content_Type=f'{kind}; charset="UTF-8"')
    assert answer.json["predictions"][0]["name"] == "ä.png"


def test_a_flag_is_true_or_false(server):
    assert server.ask("/predict?raw=1", b"x", Content_Type="image/png").status == 400


def test_the_same_image_gets_the_same_answer_alone_in_a_batch_and_by_python(server, made, tmp_path):
    images = made.images(40)
    together = server.infer({"inputs": [tensor(images)]}).json["outputs"][0]["data"]
    together = np.reshape(together, (40, 3))
    with ThreadPoolExecutor(8) as pool:
        alone = pool.map(lambda i: server.predict((f"{i}.png", png(images[i]))).json, range(40))
        alone = [list(one["predictions"][0]["probabilities"].values()) for one in alone]
    python = load(made.path, exact=True).predict_proba(images)
    np.testing.assert_allclose(together, python, atol=1e-5)
    np.testing.assert_allclose(alone, python, atol=1e-5)
    np.testing.assert_array_equal(np.argmax(alone, 1), python.argmax(1))


def test_the_page_learns_what_the_model_is(server):
    told = server.ask("/model").json
    assert told["class_names"] == list(NAMES)
    assert told["img_shape"] == [8, 9, 1]
    assert told["threshold"] == THRESHOLD
    assert told["dataset"] == "made up"
    assert (told["takes_photos"], told["tells_novelty"]) == (False, True)


# -- who may ask -----------------------------------------------------------------------------


def test_every_answer_forbids_what_a_page_could_do_with_it(server):
    for path in ("/", "/nothing", "/v2/models/m", "/docs"):
        headers = server.ask(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src")
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "LOCALHOST", "[::1]:80", "127.0.0.1"])
def test_names_of_this_machine_are_known(server, host):
    assert server.ask("/v2", Host=host).status == 200


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "[::2]", "localhost."])
def test_a_name_that_points_here_from_elsewhere_is_refused(server, host):
    assert server.ask("/v2", Host=host).status == 421


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://example.org", 403), ("null", 403), ("http://127.0.0.1:1", 403), (None, 200)],
)
def test_pages_from_elsewhere_may_not_ask(server, origin, status):
    headers = {} if origin is None else {"Origin": origin}
    assert server.ask("/v2", **headers).status == status


def test_its_own_page_may_ask(server):
    place = f"127.0.0.1:{server.port}"
    assert server.ask("/v2", Host=place, Origin=f"http://{place}").status == 200


def test_a_page_that_is_named_may_ask(made, tmp_path):
    page, other = "https://example.org", "https://example.com"
    asks = {"Access_Control_Request_Method": "POST",
            "Access_Control_Request_Headers": "authorization"}  # fmt: skip
    with serving(made.path, tmp_path, "--allow-origin", page, "--token", "secret") as served:
        before = served.ask("/predict", method="OPTIONS", Origin=page, **asks)
        assert before.status == 200
        assert before.headers["access-control-allow-origin"] == page
        answer = served.ask("/v2", Origin=page, Authorization="Bearer secret")
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == page
        assert served.ask("/v2", Origin=page).status == 401
        assert served.ask("/predict", method="OPTIONS", Origin=other, **asks).status == 400
        answer = served.ask("/v2", Origin=other, Authorization="Bearer secret")
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


def test_with_a_token_only_health_and_page_are_open(made, tmp_path):
    options = ("--token", "secret", "--allow-host", "example.org")
    with serving(made.path, tmp_path, *options) as served:
        for path in ("/", "/page.js", "/v2/health/ready", "/docs"):
            assert served.ask(path).status == 200
        for path in ("/model", "/v2", "/metrics", "/v2/models/m", "/nothing"):
            answer = served.ask(path)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert served.ask(path, Authorization="Bearer secre").status == 401
            assert served.ask(path, Authorization="Basic secret").status == 401
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert served.ask("/model", Authorization=f"{scheme} secret").status == 200
        assert served.ask("/model", Authorization="Bearer secret", Host="example.org").status == 200
        assert not any(name in served.ask("/openapi.json").body.decode() for name in NAMES)
        assert "secret" not in json.dumps(served.log())


# -- limits ------------------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server):
    with socket.create_connection((HOST, server.port), timeout=10) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            b"Content-Length: 99999999\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_body_that_turns_out_too_large_is_refused(server):
    with socket.create_connection((HOST, server.port), timeout=10) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        part = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        for _ in range(9):
            connection.sendall(part)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_an_image_of_too_many_pixels_is_named(made, tmp_path):
    with serving(made.path, tmp_path, "--max-pixels", "100") as served:
        large = png(np.zeros((11, 10, 1), np.uint8))
        answer = served.predict(("large.png", large), ("small.png", png(made.images(1)[0])))
        large, small = answer.json["predictions"]
        assert (
            "large.png is too large to open safely: it has more than the 100 pixels"
            in (large["error"])
        )
        assert small["label"] in NAMES


def test_images_that_take_too_long_to_decode_are_given_up(made, tmp_path):
    large = png(np.zeros((4000, 4000, 1), np.uint8))
    with serving(made.path, tmp_path, "--answer-timeout", "0.3") as served:
        begin = time.monotonic()
        answer = served.predict(*[("large.png", large)] * 64)
        assert answer.status == 503
        assert "decoding takes too long" in answer.json["error"]
        small = served.predict(("a.png", png(made.images(1)[0])), ("b.png", large))
        assert time.monotonic() - begin < 5  # all of them take much longer
        assert small.status == 200


def test_explanations_that_take_too_long_are_given_up(made, tmp_path):
    # Explaining one takes some milliseconds on any machine.
    files = [("a.png", png(image)) for image in made.images(64)]
    with serving(made.path, tmp_path, "--answer-timeout", "0.02") as served:
        answer = served.predict(*files, query="?explain=true")
        assert answer.status == 503
        assert "too long" in answer.json["error"]


def test_slow_requests_and_idle_connections_are_cut(made, tmp_path):
    with serving(made.path, tmp_path, "--read-timeout", "0.5") as served:
        begin = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
        for sent in (
            b"",
            b"\r\n",
            b"GET",
            begin,
            begin + b"Content-Type: image/png\r\nContent-Length: 9\r\n\r\n1",
        ):
            with socket.create_connection((HOST, served.port), timeout=10) as connection:
                start = time.monotonic()
                connection.sendall(sent)
                assert connection.recv(1000).startswith(b"HTTP/1.1 408")
                assert connection.recv(1000) == b""
                assert 0.4 < time.monotonic() - start < 3


LONG_HEADS = {
    "many headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a:\r\n" * 20_000,
    "a header": b"GET / HTTP/1.1\r\nHost: localhost\r\na: " + b"a" * 1_000_000,
    "an address": b"GET /" + b"a" * 100_000,
    "trailers": b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"a:\r\n" * 20_000,
}  # fmt: skip


@pytest.mark.parametrize("what", LONG_HEADS)
def test_a_head_that_is_too_long_is_refused(server, what):
    with socket.create_connection((HOST, server.port), timeout=10) as connection:
        with suppress(ConnectionError):
            connection.sendall(LONG_HEADS[what])
        assert connection.recv(1000).startswith(b"HTTP/1.1 431")
        assert server.tracebacks() == 0


def test_a_long_head_that_is_allowed_is_answered(server):
    head = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n" + b"a: a\r\n" * 10_000 + b"\r\n"
    with socket.create_connection((HOST, server.port), timeout=10) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def _answers(port, sent):
    """All that comes back until the connection ends."""
    with socket.create_connection((HOST, port), timeout=10) as connection:
        connection.sendall(sent)
        with suppress(ConnectionError):
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))
    return b""


@pytest.mark.parametrize("refused", [False, True])
def test_of_requests_sent_together_the_first_is_answered(server, refused):
    request = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    if refused:
        request = b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    assert _answers(server.port, request * 800).count(b"HTTP/1.1 ") == 1
    assert server.tracebacks() == 0


def test_requests_one_after_the_other_share_a_connection(server):
    connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
    with closing(connection):
        for _ in range(5):
            connection.request("GET", "/page.js")
            place = connection.sock.getsockname()
            answer = connection.getresponse()
            assert (answer.status, len(answer.read()) > 0) == (200, True)
            assert connection.sock.getsockname() == place


def test_a_client_that_takes_no_answers_is_cut(made, tmp_path):
    with serving(made.path, tmp_path, "--read-timeout", "0.5") as served:
        found = slow_readers(served, connections=2, seconds=12)
        assert found["not_cut"] == 0
        assert served.descriptors() < 100


def test_too_many_connections_are_turned_away(made, tmp_path):
    with serving(made.path, tmp_path, "--max-connections", "3") as served:
        kept = [socket.create_connection((HOST, served.port), timeout=10) for _ in range(3)]
        time.sleep(0.2)
        with socket.create_connection((HOST, served.port), timeout=10) as further:
            answer = further.recv(1000)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in answer
        for connection in kept:
            connection.close()
        time.sleep(0.2)
        assert served.ask("/v2").status == 200


def test_a_public_address_needs_a_token(made, tmp_path):
    everywhere = "0.0.0.0"  # noqa: S104  # is refused
    done = run_command("serve", made.path, "--host", everywhere, cwd=tmp_path)
    assert done.returncode == 2
    assert "--insecure" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--port", "70000"), "no port 70000"),
        (("--port", "-1"), "no port -1"),
        (("--host", "a..b"), "a..b is no address of this machine"),
        (("--token", ""), "the token is empty"),
        (("--token", "a b"), "the token is empty, or has spaces"),
        (("--token", "ä"), "letters that a header cannot have"),
        (("--allow-origin", "*"), "* is no origin"),
        (("--allow-origin", "https://example.org/page"), "without a path"),
        (("--allow-origin", "https://example.org/"), "without a path"),
        (("--allow-origin", "https://Example.org"), "in small letters"),
        (("--allow-origin", "example.org"), "is no origin"),
    ],
)
def test_what_cannot_be_meant_is_refused(made, tmp_path, options, why):
    done = run_command("serve", made.path, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_address_in_use_is_named(server, made, tmp_path):
    done = run_command("serve", made.path, "--port", server.port, cwd=tmp_path)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {server.port}" in done.stderr


# -- what is told of it ----------------------------------------------------------------------------


def test_requests_are_counted_and_logged(made, tmp_path):
    images = made.images(2)
    with serving(made.path, tmp_path) as served:
        served.infer({"inputs": [tensor(images)]})
        served.predict(("a", b"no image"))
        served.ask("/nothing/at/all")
        text = served.ask("/metrics").body.decode()
        log = served.log()
    counted = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    infer = 'path="/v2/models/{name}/infer"'
    assert counted[f'apparel_requests_total{{{infer},status="200"}}'] == "1.0"
    assert counted['apparel_requests_total{path="other",status="404"}'] == "1.0"
    assert counted['apparel_doubtful_images_total{why="unreadable"}'] == "1.0"
    by_label = [float(v) for k, v in counted.items() if k.startswith("apparel_images_total")]
    assert sum(by_label) == 2
    assert counted["apparel_batch_images_sum"] == "2.0"
    requests = [line for line in log if line["event"] == "request"]
    assert [(line["path"], line["status"]) for line in requests[:3]] == [
        ("/v2/models/{name}/infer", 200), ("/predict", 422), ("other", 404),
    ]  # fmt: skip
    assert {"time", "level", "method", "ms", "bytes", "client"} <= requests[0].keys()


def test_what_others_log_is_json_too(made, tmp_path):
    with serving(made.path, tmp_path) as served:
        served.ask("/predict", b"--edgeless", Content_Type="multipart/form-data; boundary=edge")
        warned = [line for line in served.log() if line["level"] == "warning"]
    assert "Did not find CR" in warned[0]["event"]


def test_sigterm_says_not_ready_answers_and_ends(made, tmp_path):
    with serving(made.path, tmp_path) as served:
        served.process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        time.sleep(0.3)
        assert served.ask("/v2/health/ready").status == 503
        assert served.ask("/v2/health/live").status == 200
        assert served.infer({"inputs": [tensor(made.images(1))]}).status == 200
        assert served.process.wait(10) == 0
        assert time.monotonic() - begin < 10


BEGUN = (
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    b"Content-Length: 1000\r\n\r\nabc"
)


def test_an_upload_that_does_not_end_is_refused_at_the_end(made, tmp_path):
    with serving(made.path, tmp_path, "--read-timeout", "60") as served:
        with socket.create_connection((HOST, served.port), timeout=10) as connection:
            connection.sendall(BEGUN)
            time.sleep(0.2)
            served.process.send_signal(signal.SIGTERM)
            begin = time.monotonic()
            answer = connection.recv(1000)
            while part := connection.recv(1000):
                answer += part
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"about to end" in answer
        assert served.process.wait(10) == 0
        assert time.monotonic() - begin < 9.5
        assert served.tracebacks() == 0
        assert served.log()[-1]["event"] == "ended"


def test_what_finds_the_queue_full_is_counted_once(made, tmp_path):
    def n_turned_away():
        text = served.ask("/metrics").body.decode()
        return float(
            re.search(r"^apparel_turned_away_requests_total (\S+)$", text, re.MULTILINE)[1]
        )

    whole = post("/predict", png(made.images(1)[0]), "image/png")
    options = ["--queue", "1", "--max-images", "1", "--read-timeout", "60"]
    with serving(made.path, tmp_path, *options) as served:
        place = (HOST, served.port)
        with socket.create_connection(place, 10) as first, socket.create_connection(place, 10) as c:
            first.sendall(BEGUN)  # is all that may be
            time.sleep(0.2)
            # As long as one that was turned away, with another head, which has two lengths.
            two = whole.replace(b"Content-Type: image/png", b"Content-Length: 1\r\nX: a")
            for expected, parts, status in (
                (1, [whole], b"503"),
                (2, [whole], b"503"),
                (3, [whole[:20], whole[20:-9], whole[-9:]], b"503"),
                (3, [two], b"400"),
            ):
                for part in parts:
                    c.sendall(part)
                    time.sleep(0.1)
                assert c.recv(1000)[9:12] == status
                assert served.ask("/v2/health/ready").status == 200
                assert n_turned_away() == expected


@pytest.mark.parametrize("after", [0.3, 3.5])
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(made, tmp_path, after, which):
    with serving(made.path, tmp_path, "--read-timeout", "60") as served:
        with socket.create_connection((HOST, served.port), timeout=10) as connection:
            connection.sendall(BEGUN)
            time.sleep(0.2)
            served.process.send_signal(which)
            time.sleep(after)
            begin = time.monotonic()
            served.process.send_signal(which)
            served.process.wait(10)
            assert time.monotonic() - begin < 1
        assert served.tracebacks() == 0
