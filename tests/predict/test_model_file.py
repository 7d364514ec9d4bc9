"""What a model file says of itself, and files that are none."""

import os

import pytest

from apparel.core.errors import ModelFileError
from apparel.predict import model_file
from apparel.predict.model_file import read_model
from tests.made_model import NAMES, MadeModel


@pytest.fixture
def path(tmp_path):
    return MadeModel(tmp_path / "m.onnx").path


def facts_of(folder, **told):
    return read_model(MadeModel(folder / "m.onnx", **told).path).facts


def test_a_file_is_read_as_it_is(path):
    file = read_model(path)
    assert (file.path, file.content) == (path, path.read_bytes())
    assert (file.facts.class_names, file.facts.img_shape) == (NAMES, (8, 9, 1))
    assert file.facts.threshold is file.facts.novelty_threshold is file.facts.accuracy is None
    assert (file.facts.dataset, file.facts.examples, file.facts.takes_photos) == ("", (), False)


def test_a_run_stands_for_the_model_in_it(tmp_path):
    made = MadeModel(tmp_path / "model.onnx")
    assert read_model(tmp_path).path == made.path
    made.path.unlink()
    with pytest.raises(ModelFileError, match=r"holds no model\.onnx\. Give an \.onnx file or a f"):
        read_model(tmp_path)


@pytest.mark.parametrize("threshold", [0, 1.0, None])
def test_thresholds_are_read(tmp_path, threshold):
    facts = facts_of(tmp_path, threshold=threshold, novelty_threshold=0.25)
    assert (facts.threshold, facts.novelty_threshold) == (threshold, 0.25)


@pytest.mark.parametrize(("shape", "takes"), [((28, 28, 1), True), ((28, 28, 3), False)])
def test_photos_are_taken_by_models_of_fashion_mnist_alone(tmp_path, shape, takes):
    facts = facts_of(tmp_path, img_shape=shape, photo_steps="fashion-mnist")
    assert facts.takes_photos == takes


def test_what_is_only_shown_is_left_out_where_it_makes_no_sense(tmp_path):
    accuracy = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 10}
    png = {"label": NAMES[0], "png": "AAAA"}
    examples = [png, {"label": "dog", "png": "AAAA"}, {"label": NAMES[0], "png": "ä"}]
    facts = facts_of(tmp_path, accuracy=accuracy, examples=examples, dataset={"source": "here"})
    assert (facts.accuracy, facts.dataset) == (accuracy, "here")
    assert facts.examples == ((NAMES[0], "AAAA"),)
    for key, value in (("value", float("nan")), ("n", 10**400), ("low", 10**400), ("n", 1e999)):
        facts = facts_of(tmp_path, accuracy={**accuracy, key: value}, dataset={"source": "\ud800"},
                         examples=3)  # fmt: skip
        assert (facts.accuracy, facts.dataset, facts.examples) == (None, "", ())


# -- files that are none -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["missing.keras", "x" * 300 + ".onnx", "a\0b"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(ModelFileError, match=r"there is no model file|cannot be read") as caught:
        read_model(tmp_path / name)
    assert str(tmp_path) in str(caught.value)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "link.onnx").symlink_to(tmp_path / "pipe.onnx")
    (tmp_path / "circle.onnx").symlink_to(tmp_path / "circle.onnx")
    for other in (tmp_path / "link.onnx", "/dev/zero"):
        with pytest.raises(ModelFileError, match=r"there is no model .* a folder, pipe or dev"):
            read_model(other)
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_model(tmp_path / "circle.onnx")


def test_files_of_another_size_or_kind_are_not_read(path, tmp_path):
    os.truncate(path, model_file.MAX_FILE + 1)
    with pytest.raises(ModelFileError, match="has 536,870,913 bytes, and models of at most 536,8"):
        read_model(path)
    os.truncate(path, 0)
    with pytest.raises(ModelFileError, match=r"is empty: 0 bytes"):
        read_model(path)
    (tmp_path / "m.keras").write_bytes(b"x")
    with pytest.raises(ModelFileError, match=r"is a Keras file, .*apparel export RUN --format"):
        read_model(tmp_path / "m.keras")
