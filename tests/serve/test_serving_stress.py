"""A short form of `make stress`: the same functions, smaller numbers, no timing."""

import pytest
from benchmarks.serving import hostile, load
from benchmarks.serving.client import post
from benchmarks.serving.server import png, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def request_bytes(made):
    return post("/predict", png(made.images(1)[0]), "image/png")


@pytest.fixture(scope="module")
def server(made, tmp_path_factory):
    with serving(made.path, tmp_path_factory.mktemp("log"), "--read-timeout", "2") as served:
        yield served


def test_requests_leave_nothing_behind(server, request_bytes):
    found = load.soak(server, request_bytes, requests=3000, warm_up=1000)
    assert found["rise_mb"] <= 30
    assert found["descriptors_left"] <= 0
    assert found["others"] == 0


def test_too_much_is_turned_away_and_the_rest_answered(made, request_bytes, tmp_path):
    # A queue of two: the first requests beyond it are refused, however fast the machine is.
    with serving(made.path, tmp_path, "--queue", "2", "--max-images", "2") as served:
        found = load.overload(served, request_bytes, factor=4, seconds=2, parts=2)
        assert (found["others"], found["lost"]) == (0, 0)
        assert found["answered_share_of_peak"] > 0
        assert found["refused"] > 0
        assert served.tracebacks() == 0


def test_requests_made_of_the_description_are_answered_as_described(server):
    found = hostile.schema_cases(server, examples=10)
    assert found["cases"] > 100
    assert found["failures"] == []
    assert found["tracebacks"] == 0
