"""Images and files of images → predictions, as Keras and NumPy compute them."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from PIL import Image

from apparel.core.errors import DataError, ModelFileError
from apparel.core.records import FailedImage
from apparel.data import decode, fashion_photo
from apparel.data.decode import tasks
from apparel.predict import engine
from apparel.predict import predictor as predictor_module
from apparel.predict.model_file import read_model
from apparel.predict.predictor import Predictor
from tests.conftest import SMALL as IMG_SHAPE
from tests.made_model import NAMES, MadeModel, made_proto, node

# Modules of apparel that `apparel predict model.onnx one.png` may load, so that it starts quickly.
MOST_MODULES = 45


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return MadeModel(tmp_path_factory.mktemp("made") / "m.onnx", novelty_threshold=30.0)


@pytest.fixture(scope="module")
def predictor(made):
    """A predictor that computes in float32, on every processor."""
    return Predictor(made.path, exact=True)


def saved(folder, images):
    """Write grey images to files."""
    paths = [folder / f"{k}.png" for k in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image[:, :, 0]).save(path)
    return paths


# -- arrays ------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [3, 256])
def test_probabilities_and_classes_are_the_models_in_order_whatever_the_batch(
    made, monkeypatch, batch_size
):
    monkeypatch.setattr(predictor_module, "BATCH_SIZE", batch_size)
    predictor, images = Predictor(made.path, exact=True), made.images(7)
    expected, probabilities = made.probabilities(images), predictor.predict_proba(images)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    np.testing.assert_array_equal(predictor.predict_proba(images[..., 0]), probabilities)
    assert predictor.predict(images).tolist() == [NAMES[k] for k in expected.argmax(axis=1)]


def test_arrays_of_another_type_or_shape_are_refused(predictor):
    for shape, dtype in (((2, 8, 9, 1), "float32"), ((2, 9, 8, 1), "uint8"), ((0, 8, 9), "uint8")):
        with pytest.raises(DataError, match=r"uint8 of shape \(n, 8, 9, 1\)") as caught:
            predictor.predict_proba(np.zeros(shape, dtype))
        assert f"but are {dtype} of shape" in str(caught.value)


# -- files of images ---------------------------------------------------------------------


def test_image_files_are_classified_in_order_with_their_novelty(made, predictor, tmp_path):
    images = made.images(5) // np.array([1, 4, 1, 4, 4], np.uint8)[:, None, None, None]
    predictions = predictor.predict_images(saved(tmp_path, images))
    assert [p.name for p in predictions] == [str(tmp_path / f"{k}.png") for k in range(5)]
    np.testing.assert_array_equal([p.image for p in predictions], images)
    np.testing.assert_array_equal(
        [p.probabilities for p in predictions], predictor.predict_proba(images)
    )
    scores = made.novelty(images)
    np.testing.assert_allclose([p.novelty for p in predictions], scores, rtol=1e-4)
    assert [p.is_unlike for p in predictions] == (scores > 1).tolist()
    assert any(scores > 1) > all(scores > 1)


def test_a_score_far_above_a_tiny_threshold_is_finite(tmp_path):
    made = MadeModel(tmp_path / "m.onnx", novelty_threshold=2.0**-126)
    (found,) = Predictor(made.path).describe(made.images(1) | 255, ["a"])
    assert found.is_unlike
    assert np.isfinite(found.novelty)


@pytest.fixture
def photo_file(tmp_path):
    """A dark bag on a light table, in colour."""
    image = Image.new("RGB", (300, 200), (240, 230, 220))
    image.paste((60, 20, 20), (50, 60, 190, 160))
    image.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_model_of_fashion_mnist_alone_sees_a_photo_as_its_training_images(tmp_path, photo_file):
    made = MadeModel(tmp_path / "m.onnx", (28, 28, 1), photo_steps="fashion-mnist")
    predictor = Predictor(made.path, exact=True)
    (prediction,) = predictor.predict_images([photo_file])
    pixels, steps = fashion_photo.read(photo_file)
    np.testing.assert_array_equal(prediction.image, pixels)
    assert prediction.steps == steps
    assert "negated" in steps
    np.testing.assert_allclose(
        prediction.probabilities, made.probabilities(pixels[None])[0], rtol=1e-5
    )
    other = Predictor(MadeModel(tmp_path / "other.onnx", (28, 28, 1)).path)
    found = predictor.predict_images([photo_file], raw=True) + other.predict_images([photo_file])
    for raw in found:
        np.testing.assert_array_equal(raw.image, decode.read(photo_file, (28, 28, 1)))
        assert raw.steps == ()
        assert raw.novelty is raw.is_unlike is None


def answers(predictor, parts, **options):
    return [answer for batch in predictor.predict_parts(parts, **options) for answer in batch]


def test_a_broken_image_does_not_stop_the_others_nor_do_processes_change_answers(
    predictor, tmp_path, monkeypatch
):
    images = np.random.default_rng(4).integers(0, 256, (30, *IMG_SHAPE), dtype=np.uint8)
    paths = saved(tmp_path, images)
    paths[7].write_bytes(b"broken")
    sources = [(f"image {k}", path if k % 2 else path.read_bytes()) for k, path in enumerate(paths)]
    sound = [k for k in range(30) if k != 7]
    given = predictor.predict_proba(images[sound])
    for fewest in (tasks.FEWEST_FOR_PROCESSES, 0):
        monkeypatch.setattr(tasks, "FEWEST_FOR_PROCESSES", fewest)
        monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", 4)
        found = answers(predictor, [sources])
        assert [answer.name for answer in found] == [f"image {k}" for k in range(30)]
        assert "image 7 is no image" in found[7].problem
        np.testing.assert_allclose([found[k].probabilities for k in sound], given, atol=1e-6)
        np.testing.assert_array_equal([found[k].image for k in sound], images[sound])


def test_a_broken_image_alone_is_named_or_an_error(predictor, tmp_path):
    found = answers(predictor, [[("a", b"x"), ("b", tmp_path / "missing.png")]])
    assert [type(answer) for answer in found] == [FailedImage, FailedImage]
    with pytest.raises(DataError, match=r"missing\.png"):
        predictor.predict_images([tmp_path / "missing.png"])


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
    for at_once, n_processes in ((7, 0), (100, 1)):
        monkeypatch.setattr(tasks, "MOST_FILES_AT_ONCE", at_once)
        sizes.clear()
        found = list(predictor.predict_parts(parts, n_processes=n_processes))
        assert sizes == [128, 127, 44, 50]
        assert [len(some) for some in found] == [128, 128, 44, 50]
        names = [answer.name for some in found for answer in some]
        assert names == [name for part in parts for name, _ in part]


def test_images_are_taken_only_a_little_ahead(predictor):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield "a", b"broken"

    next(predictor.predict_parts([endless()], n_processes=0))
    assert len(taken) < 1000


# -- explanations ------------------------------------------------------------------------


def test_an_explanation_shows_the_pixel_that_decides(tmp_path):
    weights = np.zeros((72, 3))
    weights[4 * 9 + 4, 1] = 20
    predictor = Predictor(with_weights(tmp_path, weights), exact=True)
    image = np.zeros((1, *IMG_SHAPE), np.uint8)
    image[0, 4, 4] = 255
    (found,) = predictor.explain(image)
    assert found.shape == (8, 9)
    assert found[4, 4] == found.max() == 1


# -- models that fail --------------------------------------------------------------------


def with_weights(folder, weights):
    """A made model with other weights."""
    proto = made_proto()
    tensor = onnx.numpy_helper.from_array(weights.astype(np.float32), "weights")
    proto.graph.initializer[2].CopyFrom(tensor)
    onnx.save(proto, folder / "m.onnx")
    return folder / "m.onnx"


@pytest.mark.parametrize("exact", [True, False])
def test_a_model_whose_answers_are_no_numbers_is_refused(tmp_path, monkeypatch, exact):
    monkeypatch.setattr(engine, "_openvino_is_faster", lambda: True)
    path = with_weights(tmp_path, np.full((72, 3), np.nan))
    with pytest.raises(ModelFileError, match="its answers are no numbers"):
        Predictor(path, exact=exact)


@pytest.mark.parametrize("kind", ["Relu", "Identity"])  # a sum other than 1, and below 0
def test_a_model_whose_answers_are_no_probabilities_is_refused(tmp_path, kind):
    proto = made_proto()
    proto.graph.node[-1].CopyFrom(node(kind, "logits", output="probabilities"))
    onnx.save(proto, tmp_path / "m.onnx")
    with pytest.raises(ModelFileError, match="is damaged: its answers are no probabilities"):
        Predictor(tmp_path / "m.onnx", exact=True)


# -- runtimes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("processors", "options", "threads"),
    [
        (8, {}, 0),  # as many as ONNX Runtime finds processors
        (8, {"n_threads": 1}, 1),
        (8, {"beside_server": True}, 7),
        (1, {"beside_server": True}, 1),
    ],
)
def test_a_processor_is_left_to_a_server(made, monkeypatch, processors, options, threads):
    monkeypatch.setattr(engine, "n_processors", lambda: processors)
    predictor = Predictor(read_model(made.path), exact=True, **options)
    assert predictor._engine._session.get_session_options().intra_op_num_threads == threads


def test_a_model_that_the_runtime_cannot_open_or_run_is_refused(made, monkeypatch):
    def broken(*_):
        raise RuntimeError("no kernel\nsecond line")

    with monkeypatch.context() as patch:
        patch.setattr(engine.OnnxRuntime, "run", broken)
        with pytest.raises(ModelFileError, match=r"ONNX Runtime .* cannot run it \(no kernel\)"):
            Predictor(made.path, exact=True)
    monkeypatch.setattr(engine.OnnxRuntime, "__init__", broken)
    with pytest.raises(ModelFileError, match=r"is not a model that can be run here \(no kernel\)"):
        Predictor(made.path, exact=True)


@pytest.mark.parametrize("exact", [True, False])
def test_each_runtime_gives_nearly_the_same_probabilities_alone_and_together(
    made, monkeypatch, exact
):
    monkeypatch.setattr(engine, "_openvino_is_faster", lambda: True)
    predictor, images = Predictor(made.path, exact=exact), made.images(300)
    assert predictor.runtime.startswith("ONNX Runtime" if exact else "OpenVINO")
    together = predictor.predict_proba(images)
    tolerance = 1e-5 if exact else 0.05  # bfloat16 has eight bits of precision
    np.testing.assert_allclose(together, made.probabilities(images), atol=tolerance)
    scores = [found.novelty for found in predictor.describe(images, [""] * 300)]
    np.testing.assert_allclose(scores, made.novelty(images), rtol=1e-5)
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda k: predictor.predict_proba(images[k : k + 1]), range(300)))
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-5)


def test_an_openvino_that_cannot_be_imported_is_done_without(made, monkeypatch):
    def broken():
        raise ImportError("a library is missing")

    monkeypatch.setattr(engine.backend, "processor_flags", lambda: {"avx512_bf16"})
    for load, runtime in ((engine.load_openvino, "OpenVINO"), (broken, "ONNX Runtime")):
        monkeypatch.setattr(engine, "load_openvino", load)
        engine._openvino_is_faster.cache_clear()
        assert Predictor(made.path).runtime.startswith(runtime)
    engine._openvino_is_faster.cache_clear()


# -- what is loaded ----------------------------------------------------------------------


def test_predicting_an_image_loads_little(made, tmp_path):
    (path,) = saved(tmp_path, made.images(1))
    code = (
        "import json, sys\nfrom apparel.cli.main import main\n"
        "assert main(['predict', *sys.argv[1:]]) == 0\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, made.path, path], capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    heavy = {"tensorflow", "keras", "torch", "jax", "sklearn", "scipy", "matplotlib", "onnx"}
    assert heavy & set(loaded) == set()
    assert done.stderr == ""
    ours = [name for name in loaded if name.partition(".")[0] == "apparel"]
    assert len(ours) <= MOST_MODULES, ours
