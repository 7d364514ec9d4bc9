"""Permission, size, errors, metrics and log of every request."""

import json
import logging

import pytest
from benchmarks.serving.server import png

from apparel.serve.server import Address, _JsonLines
from tests.made_model import NAMES
from tests.serve.conftest import wait_until
from tests.serve.test_open_inference import tensor

PAGE, OTHER = "https://example.org", "https://example.com"
TOKEN = "secret"  # noqa: S105  # of the test alone


def test_every_answer_forbids_what_a_page_could_do_with_it(server):
    for path in ("/", "/nothing", "/v2/models/m", "/docs"):
        headers = server.ask(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src")
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "LOCALHOST:1"}, 200),
        ({"host": "[::1]:80"}, 200),
        ({"host": "127.0.0.1.example.org"}, 421),
        ({"host": "[::2]"}, 421),
        ({"host": ""}, 400),
        ({"host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_only_names_of_this_machine_and_its_own_page_may_ask(server, headers, status):
    assert server.ask("/v2", **headers).status == status


def test_a_page_that_is_named_may_ask(serving_here):
    address = Address(port=0, allowed_origins=[PAGE], token=TOKEN)
    with serving_here(address=address) as server:
        asks = {
            "Access_Control_Request_Method": "POST",
            "Access_Control_Request_Headers": "authorization",
        }
        before = server.ask("/predict", method="OPTIONS", Origin=PAGE, **asks)
        assert before.status == 200
        assert before.headers["access-control-allow-origin"] == PAGE
        answer = server.ask("/v2", Origin=PAGE, Authorization="Bearer secret")
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert server.ask("/v2", Origin=PAGE).status == 401
        assert server.ask("/predict", method="OPTIONS", Origin=OTHER, **asks).status == 400
        answer = server.ask("/v2", Origin=OTHER, Authorization="Bearer secret")
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


def test_with_a_token_only_health_and_page_are_open(serving_here):
    address = Address(port=0, allowed_hosts=["example.org"], token=TOKEN)
    with serving_here(address=address) as server:
        for path in ("/", "/page.js", "/v2/health/ready", "/docs"):
            assert server.ask(path).status == 200
        for path in ("/model", "/v2", "/metrics", "/v2/models/m", "/nothing"):
            answer = server.ask(path)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert server.ask(path, Authorization="Bearer secre").status == 401
            assert server.ask(path, Authorization="Basic secret").status == 401
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert server.ask("/model", Authorization=f"{scheme} secret").status == 200
        assert server.ask("/model", Authorization="Bearer secret", host="example.org").status == 200
        assert not any(name in server.ask("/openapi.json").body.decode() for name in NAMES)


def test_bodies_are_bounded_alone_and_together(serving_here):
    with serving_here(body_bytes=100, held_bytes=150) as server:
        answer = server.ask("/predict", bytes(101), Content_Type="image/png")
        assert answer.status == 413
        assert "at most 100 bytes are allowed" in answer.json["error"]
        server.server.config.app.n_held = 100  # of another request
        answer = server.ask("/predict", bytes(60), Content_Type="image/png")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        wait_until(lambda: server.server.config.app.n_held == 100)


def test_an_unexpected_error_is_logged_and_not_told(server, monkeypatch, caplog):
    def fail(*_args, **_options):
        raise RuntimeError("a secret")

    monkeypatch.setattr(server.service, "answer_files", fail)
    answer = server.ask("/predict", b"x", Content_Type="image/png")
    assert (answer.status, b"secret" in answer.body) == (500, False)
    assert caplog.records[0].exc_info
    line = json.loads(_JsonLines().format(caplog.records[0]))
    assert (line["level"], line["path"]) == ("error", "/predict")
    assert "a secret" in line["traceback"]


def test_requests_are_counted_and_logged(serving_here, made, caplog):
    with serving_here(address=Address(port=0, token=TOKEN)) as server:
        caplog.set_level(logging.INFO, "apparel.serve")
        token = {"Authorization": "Bearer secret"}
        asked = json.dumps({"inputs": [tensor(made.images(2))]}).encode()
        server.ask("/v2/models/m/infer", asked, **token)
        server.ask("/predict", b"no image", Content_Type="image/png", **token)
        server.ask("/nothing/at/all", **token)
        server.ask("/predict", png(made.images(1)[0]), Content_Type="image/png", **token)
        text = server.ask("/metrics", **token).body.decode()
        counted = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
        infer = 'path="/v2/models/{name}/infer"'
        assert counted[f'apparel_requests_total{{{infer},status="200"}}'] == "1.0"
        assert counted['apparel_requests_total{path="other",status="404"}'] == "1.0"
        assert counted['apparel_doubtful_images_total{why="unreadable"}'] == "1.0"
        by_label = [float(v) for k, v in counted.items() if k.startswith("apparel_images_total")]
        assert sum(by_label) == 3
        assert counted["apparel_batch_images_sum"] == "3.0"
        assert counted["apparel_waiting_images"] == "0.0"
        lines = [_JsonLines().format(record) for record in caplog.records]
        assert [(line["path"], line["status"]) for line in map(json.loads, lines[:3])] == [
            ("/v2/models/{name}/infer", 200), ("/predict", 422), ("other", 404),
        ]  # fmt: skip
        assert {"time", "level", "method", "ms", "bytes", "client"} <= json.loads(lines[0]).keys()
        assert not any("secret" in line for line in lines)
