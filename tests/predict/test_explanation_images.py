import numpy as np
import pytest
from PIL import Image

from apparel.core.errors import UsageError
from apparel.core.records import Prediction
from apparel.predict.explanation_images import GLOW, STRONGEST, ExplanationFiles, explanation


def test_the_left_half_is_the_image_and_the_right_glows_where_it_matters():
    image = np.zeros((4, 4, 1), np.uint8)
    image[0, 0] = 200
    evidence = np.zeros((4, 4), np.float32)
    evidence[3, 3] = 1
    picture = np.asarray(explanation(image, evidence))
    side = 224
    assert picture.shape == (side, 2 * side + 8, 3)
    left, right = picture[:, :side], picture[:, -side:]
    whole = np.broadcast_to(image, (4, 4, 3)).repeat(56, 0).repeat(56, 1)
    np.testing.assert_array_equal(left, whole)
    np.testing.assert_array_equal(right[0, 0], [200, 200, 200])
    np.testing.assert_array_equal(right[-1, -1], np.rint(GLOW[-1] * STRONGEST))


def prediction(name, label="a/b"):
    return Prediction(
        name=name,
        probabilities=np.array([0.2, 0.8], np.float32),
        class_names=("x", label),
        image=np.zeros((3, 2, 1), np.uint8),
    )


def test_each_picture_has_a_name_of_its_own(tmp_path):
    files = ExplanationFiles(tmp_path / "new" / "folder")
    for name in ("photos/a b.png", "others/a b.png", "../..", "-"):
        files.write(prediction(name), np.zeros((3, 2), np.float32))
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "00001-a-b-a-b.png", "00002-a-b-a-b.png", "00003-image-a-b.png", "00004-image-a-b.png",
    ]  # fmt: skip
    with Image.open(tmp_path / "new" / "folder" / "00001-a-b-a-b.png") as picture:
        assert picture.size == (2 * 150 + 8, 225)


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(UsageError, match="is no empty folder"):
            ExplanationFiles(path)
