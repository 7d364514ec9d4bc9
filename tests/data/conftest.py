"""Fixtures of the tests of data."""

import numpy as np
import pytest

from apparel.data.sources.fashion_mnist import load_images


@pytest.fixture(scope="session")
def clothes():
    """The first 2,000 test images of Fashion-MNIST, shape (2000, 28, 28, 1)."""
    images = load_images("test")[:2000]
    images.flags.writeable = False
    return images


@pytest.fixture
def noise():
    """A function that gives images of random pixels."""
    random = np.random.default_rng(0)
    return lambda *shape: random.integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A folder for files."""
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture
def cache(tmp_path):
    """The place of a cache of decoded images."""
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Keep decoded images of other tests away: files of one name, size and time would be equal."""
    monkeypatch.setenv("APPAREL_CACHE", str(tmp_path.with_name(f"{tmp_path.name}-cache")))
