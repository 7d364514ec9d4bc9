import json
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from PIL import Image

from apparel.core.errors import DataError, ModelFileError
from apparel.core.records import FailedImage
from apparel.data import decode, fashion_photo
from apparel.data.decode import read as read_image
from apparel.data.decode import tasks
from apparel.export import exporting
from apparel.models import novelty
from apparel.predict import engine, reading
from apparel.predict import predictor as predictor_module
from apparel.predict.model_file import read_model
from apparel.predict.predictor import Predictor
from tests.conftest import SMALL as IMG_SHAPE
from tests.made_model import MadeModel

NAMES = ("ant", "bee", "cat")
GREY = (28, 28, 1)
EXIF_ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def onnx_file(model, pixels, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    images = pixels / np.float32(255)
    labels = np.zeros(len(images), np.int64)
    return exporting.export(
        model, path, images=images, labels=labels, class_names=NAMES, metadata={}
    ).path


def opened(path):
    """A predictor that computes in float32, on every processor."""
    return Predictor(path, exact=True)


@pytest.fixture(scope="module")
def predictor(onnx_file):
    return opened(onnx_file)


# -- Predictor -------------------------------------------------------------------------


def test_a_predictor_knows_its_classes_and_image_shape(predictor):
    assert predictor.class_names == NAMES
    assert predictor.img_shape == IMG_SHAPE


@pytest.mark.parametrize("batch_size", [1, 3, 7, 256])
def test_probabilities_are_the_models_in_order_whatever_the_batch(
    predictor, pixels, expected, monkeypatch, batch_size
):
    monkeypatch.setattr(predictor_module, "BATCH_SIZE", batch_size)
    probabilities = predictor.predict_proba(pixels)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, *IMG_SHAPE), np.float32),
        np.zeros((2, *IMG_SHAPE), np.int64),
        np.zeros((2, 9, 8, 1), np.uint8),
        np.zeros((2, 8, 9, 3), np.uint8),
        np.zeros(IMG_SHAPE, np.uint8),
        np.zeros((0, *IMG_SHAPE), np.uint8),
    ],
    ids=lambda images: f"{images.dtype}-{images.shape}",
)
def test_arrays_of_another_type_or_shape_are_refused(predictor, images):
    with pytest.raises(DataError, match=r"uint8 of shape \(n, 8, 9, 1\)") as caught:
        predictor.predict_proba(images)
    assert f"but are {images.dtype} of shape {images.shape}" in str(caught.value)


def test_grey_images_need_no_axis_for_their_channel(predictor, pixels, expected):
    np.testing.assert_allclose(predictor.predict_proba(pixels[..., 0]), expected, atol=1e-6)


def test_classes_are_told_by_name(predictor, pixels, expected):
    assert predictor.predict(pixels).tolist() == [NAMES[k] for k in expected.argmax(axis=1)]


def test_several_threads_may_use_a_predictor(predictor):
    images = np.random.default_rng(3).integers(0, 256, (64, *IMG_SHAPE), dtype=np.uint8)
    alone = predictor.predict_proba(images)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: predictor.predict_proba(images[i : i + 1]), range(64)))
    np.testing.assert_allclose(np.concatenate(found), alone, atol=1e-6)


def test_image_files_are_classified_in_order(predictor, pixels, expected, tmp_path):
    paths = [tmp_path / f"{k}.png" for k in range(3)]
    for path, image in zip(paths, pixels, strict=False):
        Image.fromarray(image[:, :, 0]).save(path)
    predictions = predictor.predict_images(paths)
    assert [p.name for p in predictions] == [str(path) for path in paths]
    for prediction, image, row in zip(predictions, pixels, expected, strict=False):
        np.testing.assert_array_equal(prediction.image, image)
        np.testing.assert_allclose(prediction.probabilities, row, atol=1e-6)
        assert prediction.label == NAMES[row.argmax()]
        assert prediction.true is None


def test_predicting_needs_neither_tensorflow_nor_keras(onnx_file, pixels, expected, tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(pixels[0, :, :, 0]).save(path)
    code = (
        "import json, sys\nfrom apparel import Predictor\n"
        "prediction, = Predictor(sys.argv[1], exact=True).predict_images([sys.argv[2]])\n"
        "heavy = {'tensorflow', 'keras', 'torch', 'jax', 'sklearn', 'matplotlib', 'onnx'}\n"
        "print(json.dumps([prediction.probabilities.tolist(), sorted(heavy & set(sys.modules))]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, onnx_file, path], capture_output=True, text=True, check=True
    )
    probabilities, loaded = json.loads(done.stdout)
    assert loaded == []
    np.testing.assert_allclose(probabilities, expected[0], atol=1e-6)
    assert done.stderr == ""


# -- model files -----------------------------------------------------------------------


def copy_with(onnx_file, folder, facts):
    """A copy of the model with other metadata; None takes a key away."""
    proto = onnx.load(onnx_file)
    held = {entry.key: entry.value for entry in proto.metadata_props} | facts
    del proto.metadata_props[:]
    for key, value in held.items():
        if value is not None:
            proto.metadata_props.add(key=key, value=value)
    onnx.save(proto, folder / "copy.onnx")
    return folder / "copy.onnx"


def test_further_metadata_does_no_harm(onnx_file, tmp_path):
    path = copy_with(onnx_file, tmp_path, {"note": "not even JSON"})
    assert opened(path).class_names == NAMES


@pytest.mark.parametrize(
    "facts",
    [
        {"class_names": None},
        {"img_shape": None},
        {"class_names": None, "img_shape": None},
        {"class_names": "ant, bee"},
        {"class_names": "3"},
        {"img_shape": "[8, 9]"},
        {"img_shape": '["a", "b", "c"]'},
        {"img_shape": "null"},
    ],
)
def test_an_onnx_file_without_its_description_is_refused(onnx_file, tmp_path, facts):
    path = copy_with(onnx_file, tmp_path, facts)
    with pytest.raises(ModelFileError, match="not one that apparel wrote") as caught:
        opened(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "facts",
    [
        {"class_names": '["ant", "bee"]'},
        {"class_names": '["ant", "bee", "cat", "dog"]'},
        {"img_shape": "[9, 8, 1]"},
        {"img_shape": "[8, 9, 3]"},
    ],
)
def test_an_onnx_file_that_contradicts_its_description_is_refused(onnx_file, tmp_path, facts):
    with pytest.raises(ModelFileError, match="but its description says"):
        opened(copy_with(onnx_file, tmp_path, facts))


def foreign_model(folder, *, taken="images", given="probabilities", kind=None, channels=1, side=2):
    """A model of somebody else that describes itself as apparel's do."""
    helper, types = onnx.helper, onnx.TensorProto
    shape = ["batch", side, side, channels]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", [taken], ["x"], to=types.FLOAT),
            helper.make_node("ReduceMean", ["x", "axes"], [given], keepdims=0),
        ],
        "g",
        [helper.make_tensor_value_info(taken, kind or types.UINT8, shape)],
        [helper.make_tensor_value_info(given, types.FLOAT, ["batch", channels])],
        [helper.make_tensor("axes", types.INT64, [2], [1, 2])],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    names = json.dumps([str(k) for k in range(channels)])
    helper.set_model_props(
        proto, {"class_names": names, "img_shape": f"[{side}, {side}, {channels}]"}
    )
    onnx.save(proto, folder / "foreign.onnx")
    return folder / "foreign.onnx"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_that_is_as_it_describes_itself_is_taken(tmp_path, channels):
    assert opened(foreign_model(tmp_path, channels=channels)).img_shape == (2, 2, channels)


@pytest.mark.parametrize(
    "change",
    [{"taken": "x0"}, {"given": "p"}, {"kind": onnx.TensorProto.FLOAT}, {"channels": 2}],
)
def test_a_model_with_other_inputs_or_outputs_is_refused(tmp_path, change):
    with pytest.raises(ModelFileError, match="but its description says"):
        opened(foreign_model(tmp_path, **change))


@pytest.mark.parametrize("size", [0, 1, 100, "half", "text"])
def test_a_file_that_is_no_onnx_model_is_named(onnx_file, tmp_path, capfd, size):
    whole = onnx_file.read_bytes()
    size = len(whole) // 2 if size == "half" else size
    path = tmp_path / "cut.onnx"
    path.write_bytes(b"this is no model" if size == "text" else whole[:size])
    with pytest.raises(ModelFileError) as caught:
        opened(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_keras_file_is_refused_with_the_command_that_converts_it(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(b"x")
    with pytest.raises(ModelFileError, match=r"is a Keras file.*apparel export RUN --format onnx"):
        opened(path)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing.onnx", "there is no model file"),
        ("missing.keras", "there is no model file"),
        (".", r"holds no model\.onnx\. Give an \.onnx file or a finished run"),
    ],
)
def test_a_missing_model_file_is_named(tmp_path, name, why):
    with pytest.raises(ModelFileError, match=why):
        opened(tmp_path / name)


# -- how unlike the training images ----------------------------------------------------


@pytest.fixture(scope="module")
def knowing(model, pixels, tmp_path_factory):
    """A model file that knows images between black and grey, and their novelty."""
    images = np.random.default_rng(0).random((200, *IMG_SHAPE), np.float32) / 2
    found = novelty.fit(images, np.arange(100), np.arange(100, 200), seed=0)
    path = tmp_path_factory.mktemp("novelty") / "m.onnx"
    unit = pixels / np.float32(255)
    labels = np.zeros(len(unit), np.int64)
    exporting.export(
        model, path, images=unit, labels=labels, class_names=NAMES, metadata={}, novelty=found
    )
    return path, found


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_an_image_is_unlike_above_the_threshold(knowing, tmp_path, monkeypatch, batch_size):
    monkeypatch.setattr(predictor_module, "BATCH_SIZE", batch_size)
    path, found = knowing
    shares = (0.5, 0.5, 1, 0, 0.5)
    random = np.random.default_rng(2)
    images = [(random.random(IMG_SHAPE) * share * 255).astype(np.uint8) for share in shares]
    files = [tmp_path / f"{k}.png" for k in range(5)]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image[:, :, 0]).save(file)
    predictor = opened(path)
    predictions = predictor.predict_images(files)
    scores = novelty.score(found, np.stack(images) / np.float32(255))
    given = [prediction.novelty for prediction in predictions]
    np.testing.assert_allclose(given, scores / found.threshold, rtol=1e-4)
    unlike = [prediction.is_unlike for prediction in predictions]
    assert unlike == [False, False, True, True, False]
    probabilities = [prediction.probabilities for prediction in predictions]
    np.testing.assert_array_equal(predictor.predict_proba(np.stack(images)), probabilities)


def test_a_model_without_a_score_says_nothing_of_it(predictor, tmp_path):
    Image.new("L", IMG_SHAPE[1::-1]).save(tmp_path / "i.png")
    (prediction,) = predictor.predict_images([tmp_path / "i.png"])
    assert prediction.novelty is None
    assert prediction.is_unlike is None


@pytest.mark.parametrize("threshold", ["null", '"a"', "0", "-1", "NaN", "Infinity", "[1]", "x"])
def test_a_file_with_a_threshold_that_is_none_is_refused(knowing, tmp_path, threshold):
    path = copy_with(knowing[0], tmp_path, {"novelty_threshold": threshold})
    with pytest.raises(ModelFileError, match="not one that apparel wrote"):
        opened(path)


def test_a_score_needs_its_threshold_and_a_threshold_its_score(knowing, onnx_file, tmp_path):
    for path, threshold in ((knowing[0], None), (onnx_file, "1.5")):
        with pytest.raises(ModelFileError, match="but its description says"):
            opened(copy_with(path, tmp_path, {"novelty_threshold": threshold}))


# -- photos ----------------------------------------------------------------------------


def of_dataset(tmp_path, steps, **options):
    """A predictor whose model says how photos are taken; it gives the mean pixel."""
    path = foreign_model(tmp_path, **options)
    return opened(copy_with(path, tmp_path, {"photo_steps": json.dumps(steps)}))


@pytest.fixture
def photo_file(tmp_path):
    """A dark bag on a light table, in colour."""
    image = Image.new("RGB", (300, 200), (240, 230, 220))
    image.paste((60, 20, 20), (50, 60, 190, 160))
    image.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_model_of_fashion_mnist_sees_a_photo_as_its_training_images_were(tmp_path, photo_file):
    predictor = of_dataset(tmp_path, "fashion-mnist", side=28)
    assert predictor.takes_photos
    (prediction,) = predictor.predict_images([photo_file])
    pixels, steps = fashion_photo.read(photo_file)
    np.testing.assert_array_equal(prediction.image, pixels)
    assert prediction.steps == steps
    assert "negated" in steps
    np.testing.assert_allclose(prediction.probabilities, pixels.mean(), rtol=1e-5)


def test_a_raw_image_is_only_resized(tmp_path, photo_file):
    predictor = of_dataset(tmp_path, "fashion-mnist", side=28)
    (prediction,) = predictor.predict_images([photo_file], raw=True)
    np.testing.assert_array_equal(prediction.image, decode.read(photo_file, (28, 28, 1)))
    assert prediction.steps == ()


@pytest.mark.parametrize(
    ("source", "side", "channels"),
    [
        ("/data/shoes", 28, 1),
        (None, 28, 1),
        ("fashion-mnist", 2, 1),
        ("fashion-mnist", 28, 3),
    ],
)
def test_other_models_take_images_as_they_are(tmp_path, photo_file, source, side, channels):
    predictor = of_dataset(tmp_path, source, side=side, channels=channels)
    assert not predictor.takes_photos
    (prediction,) = predictor.predict_images([photo_file])
    expected = decode.read(photo_file, (side, side, channels))
    np.testing.assert_array_equal(prediction.image, expected)
    assert prediction.steps == ()


@pytest.mark.parametrize("steps", [None, "null", "3", '"other"', "{}", "not JSON"])
def test_a_model_that_does_not_say_how_photos_are_taken_is_taken(tmp_path, steps):
    path = copy_with(foreign_model(tmp_path, side=28), tmp_path, {"photo_steps": steps})
    assert not opened(path).takes_photos


@pytest.mark.parametrize("source", ["fashion-mnist", "other"])
def test_a_photo_that_is_no_image_is_refused(tmp_path, source):
    (tmp_path / "image.png").write_text("this is no image")
    with pytest.raises(DataError, match=r"image\.png is no image"):
        of_dataset(tmp_path, source, side=28).predict_images([tmp_path / "image.png"])


# -- reading images --------------------------------------------------------------------


@pytest.fixture
def image_file(tmp_path):
    """Save an image, and give its path."""

    def save(image, name="image.png", **options):
        image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.fixture
def grey():
    return np.arange(28 * 28, dtype=np.uint8).reshape(28, 28)


@pytest.mark.parametrize("name", ["i.png", "i.bmp", "i.tiff", "i.gif"])
def test_a_grey_image_of_the_right_size_keeps_every_pixel(image_file, grey, name):
    read = read_image(image_file(grey, name), GREY)
    assert (read.dtype, read.shape) == (np.uint8, GREY)
    np.testing.assert_array_equal(read[:, :, 0], grey)


def test_the_name_does_not_decide_the_format(image_file, grey, tmp_path):
    path = image_file(grey).rename(tmp_path / "image.jpg")
    np.testing.assert_array_equal(read_image(str(path), GREY)[:, :, 0], grey)


@pytest.mark.parametrize(
    ("colour", "value"),
    # Luma of ITU-R BT.601: 0.299 red, 0.587 green, 0.114 blue.
    [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((90, 90, 90), 90)],
)
def test_colours_become_grey_by_their_luma(image_file, colour, value):
    read = read_image(image_file(Image.new("RGB", (28, 28), colour)), GREY)
    assert np.unique(read).tolist() == [value]


def test_a_colour_model_gets_colours(image_file):
    colours = np.random.default_rng(0).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_image(image_file(colours), (28, 28, 3)), colours)


def test_a_colour_model_gets_grey_as_three_equal_channels(image_file, grey):
    read = read_image(image_file(grey), (28, 28, 3))
    np.testing.assert_array_equal(read, np.stack([grey] * 3, axis=2))


@pytest.mark.parametrize(("alpha", "value"), [(0, 255), (128, 227), (255, 200)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_shows_white(image_file, mode, alpha, value):
    colour = (200, 200, 200, alpha) if mode == "RGBA" else (200, alpha)
    read = read_image(image_file(Image.new(mode, (28, 28), colour)), GREY)
    assert np.unique(read).tolist() == [value]


def test_sixteen_bit_grey_is_scaled_not_clipped(image_file, grey):
    read = read_image(image_file(grey.astype(np.uint16) * 257), GREY)
    np.testing.assert_array_equal(read[:, :, 0], grey)


def palette_image():
    """Left half colour 0, grey 40; right half colour 1, grey 220."""
    image = Image.new("P", (28, 28), 0)
    image.putpalette([40, 40, 40, 220, 220, 220])
    image.paste(1, (14, 0, 28, 28))
    return image


@pytest.mark.parametrize(
    ("options", "left"),
    [({}, 40), ({"transparency": 0}, 255), ({"transparency": bytes([0, 255])}, 255)],
)
def test_a_palette_is_looked_up(image_file, options, left):
    read = read_image(image_file(palette_image(), **options), GREY)
    assert np.unique(read[:, :14]).tolist() == [left]
    assert np.unique(read[:, 14:]).tolist() == [220]


def test_black_and_white_becomes_0_and_255(image_file, grey):
    read = read_image(image_file(Image.fromarray(grey > 99)), GREY)
    np.testing.assert_array_equal(read[:, :, 0], (grey > 99) * np.uint8(255))


def test_a_narrow_image_is_centred_on_the_colour_of_its_corner(image_file):
    image = np.full((28, 14), 200, np.uint8)
    image[0, 0] = 60
    read = read_image(image_file(image), GREY)[:, :, 0]
    assert np.unique(read[:, :7]).tolist() == np.unique(read[:, 21:]).tolist() == [60]
    np.testing.assert_array_equal(read[:, 7:21], image)


def test_a_flat_colour_image_is_padded_with_its_colour(image_file):
    read = read_image(image_file(Image.new("RGB", (28, 4), (10, 20, 30))), (28, 28, 3))
    assert np.unique(read.reshape(-1, 3), axis=0).tolist() == [[10, 20, 30]]


@pytest.mark.parametrize("size", [(56, 56), (14, 14), (1, 1), (1000, 1), (3, 900), (280, 140)])
def test_an_image_of_any_size_fits(image_file, size):
    read = read_image(image_file(Image.new("L", size, 77)), GREY)
    assert read.shape == GREY
    assert np.unique(read).tolist() == [77]


def test_a_large_image_is_shrunk_as_a_whole(image_file):
    halves = np.zeros((280, 280), np.uint8)
    halves[:, 140:] = 255
    read = read_image(image_file(halves), GREY)[:, :, 0]
    assert (read[:, :12] == 0).all()
    assert (read[:, 16:] == 255).all()


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (8, np.rot90),
    ],
)
def test_a_photos_own_rotation_is_applied(image_file, grey, orientation, turned):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    read = read_image(image_file(grey, exif=exif), GREY)
    np.testing.assert_array_equal(read[:, :, 0], turned(grey))


# -- images that cannot be read --------------------------------------------------------


@pytest.mark.parametrize("name", ["i.png", "i.jpg", "i.gif", "i.bmp", "i.tiff", "i.webp"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_image_is_refused(image_file, grey, name, share):
    path = image_file(np.random.default_rng(0).permutation(grey.ravel()).reshape(28, 28), name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError) as caught:
        read_image(path, GREY)
    assert str(path) in str(caught.value)


def test_a_png_with_a_broken_part_inside_is_refused(image_file, grey):
    path = image_file(grey)
    whole = path.read_bytes()
    begin = whole.index(b"IDAT")
    half = int.from_bytes(whole[begin - 4 : begin], "big") // 2
    part = whole[begin : begin + 4 + half]
    chunk = half.to_bytes(4, "big") + part + zlib.crc32(part).to_bytes(4, "big")
    path.write_bytes(whole[: begin - 4] + chunk + b"\0\0\0\x05????" + bytes(9))
    with pytest.raises(DataError, match=r"cannot be read as an image: .*broken PNG file"):
        read_image(path, GREY)


@pytest.mark.parametrize("content", [b"", b"this is no image\n", b"\x89PNG\r\n\x1a\n", bytes(500)])
def test_a_file_that_is_no_image_is_refused(tmp_path, content):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"is no image of a format that is read|is empty: 0 bytes"):
        read_image(path, GREY)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no file .*missing\.png"):
        read_image(tmp_path / "missing.png", GREY)


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(DataError, match="is a folder, but expected was a file with an image"):
        read_image(tmp_path, GREY)


@pytest.mark.parametrize("limit", [28 * 28 - 1, 28 * 28 // 2, 28 * 28 // 3, 1])
def test_an_image_of_more_pixels_than_pillows_limit_is_refused(
    image_file, grey, monkeypatch, limit
):
    path = image_file(grey)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(DataError, match="is too large to open safely"):
        read_image(path, GREY)


def test_an_image_at_pillows_limit_is_read(image_file, grey, monkeypatch):
    path = image_file(grey)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 28 * 28)
    np.testing.assert_array_equal(read_image(path, GREY)[:, :, 0], grey)


def test_odd_metadata_is_passed_over_in_silence(image_file, grey):
    path = image_file(grey, exif=b"II*\0\x08\0\0\0\x01\0")  # announces a tag and ends
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(read_image(path, GREY)[:, :, 0], grey)
    assert caught == []


# -- images that cannot be read, among others -------------------------------------------


def test_a_broken_image_does_not_stop_the_others(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", 3)
    sources = []
    for k in range(7):
        path = tmp_path / f"{k}.png"
        Image.new("L", IMG_SHAPE[1::-1], 30 * k).save(path)
        sources.append((f"image {k}", path.read_bytes() if k % 2 else path))
    (tmp_path / "4.png").write_bytes(b"broken")
    batches = list(predictor.predict_batches(sources))
    assert [len(batch) for batch in batches] == [7]
    answers = [answer for batch in batches for answer in batch]
    assert [answer.name for answer in answers] == [f"image {k}" for k in range(7)]
    assert isinstance(answers[4], FailedImage)
    assert "image 4 is no image" in answers[4].problem
    sound = [k for k in range(7) if k != 4]
    images = np.stack([np.full(IMG_SHAPE, 30 * k, np.uint8) for k in sound])
    given = [answers[k].probabilities for k in sound]
    np.testing.assert_allclose(given, predictor.predict_proba(images), atol=1e-6)


def test_many_images_are_read_in_processes_with_the_same_answers(predictor, tmp_path, monkeypatch):
    random = np.random.default_rng(4)
    images = random.integers(0, 256, (30, *IMG_SHAPE), dtype=np.uint8)
    sources = []
    for k, image in enumerate(images):
        path = tmp_path / f"{k}.png"
        Image.fromarray(image[:, :, 0]).save(path)
        sources.append((str(k), path))
    (tmp_path / "7.png").write_bytes(b"broken")
    expected = [answer for batch in predictor.predict_batches(sources) for answer in batch]
    monkeypatch.setattr(reading, "FEWEST_FOR_PROCESSES", 0)
    monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", 4)
    found = [answer for batch in predictor.predict_batches(sources) for answer in batch]
    assert [answer.name for answer in found] == [str(k) for k in range(30)]
    for answer, other in zip(found, expected, strict=True):
        if isinstance(answer, FailedImage):
            assert answer == other
        else:
            np.testing.assert_array_equal(answer.image, other.image)
            np.testing.assert_allclose(answer.probabilities, other.probabilities, atol=1e-6)
    assert [k for k, answer in enumerate(found) if isinstance(answer, FailedImage)] == [7]


def test_a_batch_depends_on_the_places_of_images_in_their_part_alone(
    predictor, tmp_path, monkeypatch
):
    parts = []
    for n in (300, 0, 50):
        path = tmp_path / f"{n}.png"
        Image.new("L", IMG_SHAPE[1::-1], n % 256).save(path)
        parts.append([(f"{n}, {k}", b"broken" if k == 130 else path) for k in range(n)])
    run, sizes = predictor._engine.run, []

    def counted(images, outputs):
        sizes.append(len(images))
        return run(images, outputs)

    monkeypatch.setattr(predictor._engine, "run", counted)
    for at_once, n_processes in ((7, 0), (256, 0), (100, 1)):
        monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", at_once)
        sizes.clear()
        found = list(predictor.predict_parts(parts, n_processes=n_processes))
        assert sizes == [128, 127, 44, 50]
        assert [len(answers) for answers in found] == [128, 128, 44, 50]
        names = [answer.name for answers in found for answer in answers]
        assert names == [name for part in parts for name, _ in part]


def test_images_are_taken_only_a_little_ahead(predictor, tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", IMG_SHAPE[1::-1]).save(path)
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield "a", path

    answers = predictor.predict_parts([endless()], n_processes=0)
    next(answers)
    assert len(taken) < 1000


def test_few_large_images_are_many(predictor, monkeypatch):
    used = []
    monkeypatch.setattr(reading, "n_processors", lambda: used.append(1) or 1)
    content = [(f"{k}", bytes(1 << 20)) for k in range(8)]
    assert [len(answers) for answers in predictor.predict_batches(content)] == [8]
    assert used == []
    monkeypatch.setattr(reading, "LARGE_BYTES", 8 << 20)
    assert [len(answers) for answers in predictor.predict_batches(content)] == [8]
    assert used == [1]


def test_a_model_that_was_read_computes_with_as_many_threads_as_asked(onnx_file, predictor):
    read = read_model(onnx_file)
    alone = Predictor(read, exact=True, n_threads=1)
    assert alone._engine._session.get_session_options().intra_op_num_threads == 1
    images = np.zeros((3, *IMG_SHAPE), np.uint8)
    exact = Predictor(onnx_file, exact=True)
    np.testing.assert_array_equal(alone.predict_proba(images), exact.predict_proba(images))


@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (8, 7)])
def test_beside_a_server_a_processor_is_left_to_it(onnx_file, monkeypatch, processors, threads):
    monkeypatch.setattr(engine, "n_processors", lambda: processors)
    beside = Predictor(onnx_file, exact=True, beside_server=True)
    assert beside._engine._session.get_session_options().intra_op_num_threads == threads
    alone = Predictor(onnx_file, exact=True)
    assert alone._engine._session.get_session_options().intra_op_num_threads == 0


def test_of_broken_images_alone_nothing_is_predicted(predictor, tmp_path):
    (answers,) = predictor.predict_batches([("a", b"x"), ("b", tmp_path / "missing.png")])
    assert [type(answer) for answer in answers] == [FailedImage, FailedImage]


@pytest.mark.parametrize(
    ("fact", "threshold"), [("0.75", 0.75), ("0", 0), ("1.0", 1), ("null", None), (None, None)]
)
def test_the_threshold_is_read_from_the_file(onnx_file, tmp_path, fact, threshold):
    assert opened(copy_with(onnx_file, tmp_path, {"threshold": fact})).threshold == threshold


@pytest.mark.parametrize("fact", ["1.5", "-1", "NaN", '"a"', "[1]", "x"])
def test_a_threshold_that_is_no_confidence_is_refused(onnx_file, tmp_path, fact):
    with pytest.raises(ModelFileError, match="not one that apparel wrote"):
        opened(copy_with(onnx_file, tmp_path, {"threshold": fact}))


def test_what_a_file_tells_for_people_is_left_out_where_it_makes_no_sense(tmp_path):
    accuracy = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 10}
    png = {"label": NAMES[0], "png": "AAAA"}
    made = MadeModel(tmp_path / "m.onnx", class_names=NAMES, accuracy=accuracy, examples=[
        png, {"label": "dog", "png": "AAAA"}, {"label": NAMES[0], "png": "ä"}])  # fmt: skip
    found = opened(made.path).facts
    assert found.accuracy == accuracy
    assert found.examples == ((NAMES[0], "AAAA"),)
    for key, value in (("value", float("nan")), ("n", 10**400), ("low", 10**400)):
        told = {**accuracy, key: value}
        made = MadeModel(tmp_path / "n.onnx", accuracy=told, dataset={"source": "\ud800"})
        found = opened(made.path).facts
        assert (found.accuracy, found.dataset) == (None, "")


def test_a_number_that_is_too_large_for_json_is_no_accuracy(onnx_file, tmp_path):
    told = '{"value": 0.9, "low": 0.8, "high": 1, "n": 1e999}'
    assert opened(copy_with(onnx_file, tmp_path, {"accuracy": told})).facts.accuracy is None


@pytest.mark.parametrize("exact", [True, False])
def test_a_model_whose_answers_are_no_numbers_is_refused(tmp_path, monkeypatch, exact):
    monkeypatch.setattr(engine, "_openvino_is_faster", lambda: True)
    path = MadeModel(tmp_path / "m.onnx", novelty_threshold=1.0).path
    proto = onnx.load(path)
    (weights,) = (tensor for tensor in proto.graph.initializer if tensor.name == "weights")
    broken = onnx.numpy_helper.to_array(weights).copy()
    broken[0, 0] = np.nan
    weights.CopyFrom(onnx.numpy_helper.from_array(broken, "weights"))
    onnx.save(proto, path)
    predictor = Predictor(path, exact=exact)
    images = np.ones((2, *predictor.img_shape), np.uint8)
    with pytest.raises(ModelFileError, match="its answers are no numbers"):
        predictor.predict_proba(images)
    with pytest.raises(ModelFileError, match="its answers are no numbers"):
        predictor.describe(images, ["a", "b"])


def test_a_score_far_above_a_tiny_threshold_is_finite(tmp_path):
    made = MadeModel(tmp_path / "m.onnx", novelty_threshold=2.0**-126)
    (found,) = opened(made.path).describe(made.images(1) | 255, ["a"])
    assert found.is_unlike
    assert np.isfinite(found.novelty)


# -- OpenVINO ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "m.onnx"
    return MadeModel(path, (28, 28, 1), novelty_threshold=300.0)


@pytest.fixture
def faster(made, monkeypatch):
    """A predictor that takes OpenVINO, whatever this processor is."""
    monkeypatch.setattr(engine, "_openvino_is_faster", lambda: True)
    return Predictor(made.path)


def test_openvino_gives_nearly_the_same_probabilities_and_the_same_scores(made, faster):
    images = made.images(300)
    assert faster.runtime.startswith("OpenVINO")
    # bfloat16 has eight bits of precision.
    np.testing.assert_allclose(faster.predict_proba(images), made.probabilities(images), atol=0.05)
    found = faster.describe(images, [str(k) for k in range(300)])
    scores = [prediction.novelty for prediction in found]
    np.testing.assert_allclose(scores, made.novelty(images), rtol=1e-5)


def test_openvino_answers_an_image_alone_as_in_any_batch_and_in_any_thread(made, faster):
    images = made.images(300)
    together = faster.predict_proba(images)
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda k: faster.predict_proba(images[k : k + 1]), range(300)))
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-5)


def test_openvino_computes_few_sizes_of_batches_and_answers_each_image(made, faster, monkeypatch):
    images, sizes, request = made.images(128), [], faster._engine._request

    def noted(output, made_for):
        of = request(output, made_for)

        def infer(inputs):
            sizes.append(len(inputs[0]))
            return of.infer(inputs)

        return SimpleNamespace(infer=infer)

    together = faster.predict_proba(images)
    monkeypatch.setattr(faster._engine, "_request", noted)
    for n in range(1, 129):
        found = faster.predict_proba(images[:n])
        np.testing.assert_allclose(found, together[:n], atol=1e-5)
    assert set(sizes) == {*range(1, 8), *range(8, 129, 8)}


def test_exact_answers_come_from_onnx_runtime(made, faster):
    exact = Predictor(made.path, exact=True)
    assert exact.runtime.startswith("ONNX Runtime")
    images = made.images(5)
    np.testing.assert_allclose(exact.predict_proba(images), made.probabilities(images), atol=1e-6)


def test_an_openvino_that_cannot_be_imported_is_done_without(made, monkeypatch):
    def broken():
        raise ImportError("a library is missing")

    monkeypatch.setattr(engine, "_openvino_is_faster", lambda: True)
    monkeypatch.setattr(engine, "load_openvino", broken)
    assert Predictor(made.path).runtime.startswith("ONNX Runtime")
