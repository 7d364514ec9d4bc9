"""What `import apparel` offers."""

import pytest

import apparel


def test_public_names_are_sorted_and_all_there() -> None:
    assert apparel.__all__ == sorted(apparel.__all__)
    assert all(getattr(apparel, name) is not None for name in apparel.__all__)
    assert dir(apparel) == apparel.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Fashion'"):
        apparel.Fashion  # noqa: B018  # reading it is the test
