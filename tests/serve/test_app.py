"""The page, and the description of the API, held against the routes."""

import re

import pytest
from starlette.routing import Match

from apparel.core.model_formats import NOVELTY
from apparel.predict.predictor import Predictor
from apparel.serve.app import PAGE, _resolved, create_routes, describe
from apparel.serve.open_inference import MAX_PIXEL
from tests.made_model import MadeModel


@pytest.fixture(scope="module")
def described(server):
    return server.ask("/openapi.json").json


def operations(described):
    for path, item in described["paths"].items():
        for method, operation in _resolved(item, described).items():
            yield path, method.upper(), operation


def test_the_description_has_every_route_and_its_refusals(server, described):
    routes = create_routes(server.service, "m")
    found = set()
    for path, method, operation in operations(described):
        scope = {"type": "http", "path": path, "method": method, "headers": []}
        (route,) = [each for each in routes if each.matches(scope)[0] is Match.FULL]
        found.add((route.path, method))
        expected = {"200", "400", "401", "403", "408", "421", "431", "503"}
        expected |= {"413"} if method == "POST" else set()
        expected |= {"404"} if "/models/" in path else set()
        assert expected <= operation["responses"].keys()
    everything = {(route.path, method) for route in routes for method in route.methods - {"HEAD"}}
    assert found == everything - {(path, "GET") for path in PAGE if path != "/"}


def test_the_description_fits_the_model(described, tmp_path):
    tensor = described["components"]["schemas"]["InferRequest"]["properties"]["inputs"]["items"]
    properties = tensor["properties"]
    sides = [size.get("const") for size in properties["shape"]["prefixItems"]]
    assert sides == [None, 8, 9, 1]
    assert properties["data"]["minItems"] == 72
    assert properties["data"]["items"] == {"type": "integer", "minimum": 0, "maximum": MAX_PIXEL}
    plain = Predictor(MadeModel(tmp_path / "plain.onnx").path)
    assert NOVELTY in str(described["components"]["schemas"]["InferRequest"])
    other = describe(plain, 'a "b" c')
    assert NOVELTY not in str(other["components"]["schemas"]["InferRequest"])
    assert "/v2/models/a%20%22b%22%20c/infer" in other["paths"]
    assert other["info"]["title"] == 'a "b" c, served by apparel'


def test_the_documentation_lists_every_operation(server, described):
    text = server.ask("/docs").body.decode()
    shown = re.findall(r"<h2><code>(\w+) (\S+)</code></h2>", text)
    assert shown == [(method, path) for path, method, _ in operations(described)]
    assert "The server is busy or about to end." in text
    assert "curl -F files=@coat.jpg" in text


def test_the_page_s_files_are_served(server):
    for path, (_, kind) in PAGE.items():
        answer = server.ask(path)
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(kind)
