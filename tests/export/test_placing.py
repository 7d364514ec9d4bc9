"""Where models of several files are put while they are written."""

import pytest

from apparel.core import atomic_files
from apparel.export.atomic_outputs import placed


@pytest.mark.parametrize(("kind", "suffix"), [("saved_model", ".savedmodel"), ("openvino", ".xml")])
@pytest.mark.parametrize("length", [1, 240])
def test_what_is_left_by_a_killed_process_is_told_by_its_name(tmp_path, kind, suffix, length):
    with placed(tmp_path / ("m" * length + suffix), kind) as temporary:
        assert atomic_files.is_partial(temporary.parent)
        temporary.mkdir() if kind == "saved_model" else temporary.write_text("graph")
        temporary.with_suffix(".bin").write_text("weights")
    assert not any(atomic_files.is_partial(path) for path in tmp_path.iterdir())
