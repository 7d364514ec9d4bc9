"""The suffix of a file names its format."""

from pathlib import Path

import pytest

from apparel.core.errors import UsageError
from apparel.core.model_formats import format_of


@pytest.mark.parametrize(
    ("path", "kind"),
    [("m.keras", "keras"), ("m.onnx", "onnx"), (Path("a.b") / "m.keras.onnx", "onnx")],
)
def test_the_suffix_names_the_format(path, kind):
    assert format_of(path) == kind


@pytest.mark.parametrize("path", ["m.h5", "m.keras.zip", ".onnx", "m.KERAS", "model"])
def test_another_suffix_is_refused_with_the_known_ones(path):
    with pytest.raises(UsageError, match=r"End it in one of: \.keras, \.onnx") as caught:
        format_of(path)
    assert str(caught.value).startswith(f"{path} ends in ")
    assert ("ends in no suffix" in str(caught.value)) == (path in {"model", ".onnx"})
