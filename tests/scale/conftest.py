"""What tests of clusters share."""

import pytest

from apparel.data.inputs import shards
from tests.scale.fake_ray import FakeRay
from tests.scale.images import encoded, made_model, write_table


@pytest.fixture
def fake_ray(monkeypatch):
    """What the program imports as Ray."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return FakeRay().install(monkeypatch)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The path of a model."""
    return made_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The path of a table of 60 images, which make five shards."""
    monkeypatch.setattr(shards, "FILES", 12)
    return write_table(tmp_path / "t.parquet", encoded(60), group_rows=4)
