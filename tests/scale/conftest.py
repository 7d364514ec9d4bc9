"""Clusters for tests: one that is made up, and a real one of two nodes for all tests of Ray."""

import pytest

from apparel.data.inputs import shards
from tests.scale.fake_ray import FakeRay
from tests.scale.images import encoded, made_model, write_table

N_IMAGES = 60


@pytest.fixture
def fake_ray(monkeypatch):
    """What the program imports as Ray."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return FakeRay().install(monkeypatch)


@pytest.fixture(scope="session")
def two_nodes():
    """A real cluster, started once."""
    from apparel.scale.cluster import load_ray  # noqa: PLC0415  # an extra

    ray = load_ray()
    from tests.scale.two_nodes import TwoNodes  # noqa: PLC0415  # as above

    nodes = TwoNodes()
    yield nodes
    ray.shutdown()
    nodes.close()


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The path of a model."""
    return made_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The path of a table of 60 images, which make five shards."""
    monkeypatch.setattr(shards, "FILES", 12)
    return write_table(tmp_path / "t.parquet", encoded(N_IMAGES), group_rows=4)
