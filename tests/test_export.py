import json
import zipfile

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from apparel import export, novelty, novelty_graph
from apparel.errors import ApparelError, ModelFileError, UsageError
from tests.conftest import SMALL as IMG_SHAPE

NAMES = ("ant", "bee", "cät")


def write(model, pixels, path, **options):
    return export.export(
        model,
        path,
        images=pixels / np.float32(255),
        class_names=NAMES,
        metadata={"dataset": {"source": "made up", "n": 7}},
        **options,
    )


@pytest.fixture(scope="module")
def written(model, pixels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return {kind: write(model, pixels, folder / f"m.{kind}") for kind in ("keras", "onnx")}


# -- .keras ----------------------------------------------------------------------------


def test_the_keras_file_gives_the_models_probabilities(written, pixels, expected):
    copy = keras.models.load_model(written["keras"])
    np.testing.assert_allclose(copy(pixels / np.float32(255)), expected, atol=1e-6)
    assert {layer.compute_dtype for layer in copy.layers} == {"float32"}


def serialised_objects(config):
    """Every dictionary in a Keras config that names a class to make."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from serialised_objects(value)
    elif isinstance(config, list):
        for value in config:
            yield from serialised_objects(value)


def test_the_keras_file_holds_classes_of_keras_only(written):
    with zipfile.ZipFile(written["keras"]) as archive:
        text = archive.read("config.json").decode()
    found = list(serialised_objects(json.loads(text)))
    assert len(found) > 8
    assert {thing["module"].split(".")[0] for thing in found} == {"keras"}
    assert {thing.get("registered_name") for thing in found} == {None}
    assert "apparel" not in text


def test_a_saved_model_is_opened_again(written, pixels, expected):
    opened = export.load_keras_model(str(written["keras"]))
    np.testing.assert_allclose(opened(pixels / np.float32(255)), expected, atol=1e-6)


@pytest.fixture
def broken(tmp_path, written):
    """A file for each way of being no Keras model."""
    whole = written["keras"].read_bytes()
    contents = {
        "text": b"this is no model",
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "onnx": written["onnx"].read_bytes(),
    }

    def make(kind):
        path = tmp_path / f"{kind}.keras"
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("config.json", "{}")
        elif kind == "folder":
            path.mkdir()
        elif kind in contents:
            path.write_bytes(contents[kind])
        return path

    return make


@pytest.mark.parametrize("kind", ["text", "empty", "cut", "onnx", "zip"])
def test_a_file_that_is_no_keras_model_is_named(broken, kind):
    path = broken(kind)
    with pytest.raises(ModelFileError, match="is not a model that Keras can open") as caught:
        export.load_keras_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_missing_keras_file_is_named(broken, kind):
    path = broken(kind)
    with pytest.raises(ModelFileError, match="there is no model file") as caught:
        export.load_keras_model(path)
    assert str(path) in str(caught.value)


def test_a_keras_file_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "unsafe.keras"
    layers = [keras.layers.Input((2,)), keras.layers.Lambda(lambda x: x + 1)]
    keras.Sequential(layers).save(path)
    with pytest.raises(ModelFileError, match="is not a model that Keras can open"):
        export.load_keras_model(path)


# -- .onnx -----------------------------------------------------------------------------


def test_the_onnx_file_gives_the_models_probabilities_for_any_number_of_images(
    written, pixels, expected
):
    session = onnxruntime.InferenceSession(written["onnx"], providers=["CPUExecutionProvider"])
    for n in (1, 2, 7):
        (copy,) = session.run(["probabilities"], {"images": pixels[:n]})
        np.testing.assert_allclose(copy, expected[:n], atol=1e-6)


def test_the_onnx_file_takes_bytes_named_images_and_gives_named_probabilities(written):
    proto = onnx.load(written["onnx"])
    onnx.checker.check_model(proto, full_check=True)
    (taken,), (given,) = proto.graph.input, proto.graph.output

    def described(tensor):
        dims = tensor.type.tensor_type.shape.dim
        return (
            tensor.name,
            tensor.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in dims],
        )

    assert described(taken) == ("images", onnx.TensorProto.UINT8, ["batch", *IMG_SHAPE])
    assert described(given) == ("probabilities", onnx.TensorProto.FLOAT, ["batch", 3])


def test_the_onnx_file_describes_itself(written):
    session = onnxruntime.InferenceSession(written["onnx"], providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    assert {key: json.loads(value) for key, value in facts.items()} == {
        "class_names": list(NAMES),
        "img_shape": list(IMG_SHAPE),
        "dataset": {"source": "made up", "n": 7},
    }


def learnt(shape, *, n_validation=100):
    """The novelty of random images of rising brightness."""
    random = np.random.default_rng(0)
    images = random.random((200, *shape), np.float32) * np.linspace(0, 1, 200)[:, None, None, None]
    order = random.permutation(200)
    return novelty.fit(
        images.astype(np.float32), order[n_validation:], order[:n_validation], seed=0
    )


@pytest.fixture(scope="module")
def with_novelty(model, pixels, tmp_path_factory):
    path = tmp_path_factory.mktemp("novelty") / "m.onnx"
    return write(model, pixels, path, novelty=learnt(IMG_SHAPE))


def test_the_onnx_file_gives_the_novelty_score_of_any_number_of_images(
    with_novelty, pixels, expected
):
    session = onnxruntime.InferenceSession(with_novelty, providers=["CPUExecutionProvider"])
    scores = novelty.score(learnt(IMG_SHAPE), pixels / np.float32(255))
    for n in (1, 2, 7):
        probabilities, copy = session.run(["probabilities", "novelty"], {"images": pixels[:n]})
        assert copy.shape == (n,)
        np.testing.assert_allclose(copy, scores[:n], rtol=1e-4)
        np.testing.assert_allclose(probabilities, expected[:n], atol=1e-6)


def test_the_onnx_file_names_the_novelty_score_and_its_threshold(with_novelty):
    proto = onnx.load(with_novelty)
    onnx.checker.check_model(proto, full_check=True)
    assert [output.name for output in proto.graph.output] == ["probabilities", "novelty"]
    dims = proto.graph.output[1].type.tensor_type.shape.dim
    assert [dim.dim_param for dim in dims] == ["batch"]
    facts = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert facts["novelty_threshold"] == learnt(IMG_SHAPE).threshold
    assert facts["class_names"] == list(NAMES)


def test_a_novelty_score_without_a_threshold_is_left_out(model, pixels, written, tmp_path):
    path = write(model, pixels, tmp_path / "m.onnx", novelty=learnt(IMG_SHAPE, n_validation=9))
    with_it, without = onnx.load(path), onnx.load(written["onnx"])
    assert [output.name for output in with_it.graph.output] == ["probabilities"]
    assert with_it.metadata_props == without.metadata_props
    assert [n.op_type for n in with_it.graph.node] == [n.op_type for n in without.graph.node]


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 8, 3), (28, 28, 1), (30, 35, 3), (64, 64, 3)])
def test_the_graph_gives_the_scores_of_images_of_any_shape(tmp_path, shape):
    found = learnt(shape)
    helper, types = onnx.helper, onnx.TensorProto
    taken = helper.make_tensor_value_info("images", types.UINT8, ["n", *shape])
    graph = helper.make_graph([], "g", [taken], [])
    novelty_graph.add_novelty(graph, found, images="images", output="score", axis="n")
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    images = np.random.default_rng(1).integers(0, 256, (5, *shape), dtype=np.uint8)
    images[3:] //= 4
    images[4] = 7
    (scores,) = session.run(None, {"images": images})
    np.testing.assert_allclose(scores, novelty.score(found, images / np.float32(255)), rtol=1e-3)


def test_renaming_an_output_renames_what_refers_to_it():
    make = onnx.helper.make_node
    graph = onnx.helper.make_graph(
        [make("Relu", ["x"], ["old"]), make("Neg", ["old"], ["z"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])],
        [onnx.helper.make_tensor_value_info("old", onnx.TensorProto.FLOAT, [1])],
    )
    export._name_output(graph, "new")
    assert graph.output[0].name == "new"
    wiring = [(list(node.input), list(node.output)) for node in graph.node]
    assert wiring == [(["x"], ["new"]), (["new"], ["z"])]


# -- what is refused -------------------------------------------------------------------


class Perturbed:
    """A Keras model whose probabilities come out changed."""

    def __init__(self, path, change):
        self._model, self._change = keras.models.load_model(path), change

    def predict(self, images, **_):
        return self._change(np.asarray(self._model(images)))


@pytest.fixture
def perturb(monkeypatch):
    """Change what the written copy gives when it is run."""
    run = export._run_onnx

    def make(change):
        monkeypatch.setattr(export, "load_keras_model", lambda path: Perturbed(path, change))
        monkeypatch.setattr(export, "_run_onnx", lambda *given: change(run(*given)))

    return make


@pytest.mark.parametrize(
    "change",
    [lambda p: p + 2e-4, lambda p: p * np.nan, lambda p: p[:, ::-1], lambda p: p[:, :2]],
    ids=["off", "nan", "swapped", "short"],
)
@pytest.mark.parametrize("kind", ["keras", "onnx"])
def test_a_copy_that_differs_is_refused_and_nothing_is_left(
    model, pixels, tmp_path, perturb, kind, change
):
    perturb(change)
    with pytest.raises(ApparelError, match=r"was not written: .* differ from the model's"):
        write(model, pixels, tmp_path / f"m.{kind}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change", [lambda s: s * 1.002, lambda s: s * np.nan, lambda s: s[::-1], lambda s: s[:-1]]
)
def test_a_copy_with_other_novelty_scores_is_refused(model, pixels, tmp_path, monkeypatch, change):
    def run(path, images, output):
        given = actual(path, images, output)
        return change(given) if output == "novelty" else given

    actual = export._run_onnx
    monkeypatch.setattr(export, "_run_onnx", run)
    with pytest.raises(ApparelError, match=r"was not written: .* its novelty scores differ"):
        write(model, pixels, tmp_path / "m.onnx", novelty=learnt(IMG_SHAPE))
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_differs_by_rounding_is_kept(model, pixels, tmp_path, perturb):
    perturb(lambda p: p + 5e-5)
    assert write(model, pixels, tmp_path / "m.keras").is_file()


@pytest.mark.parametrize("kind", ["keras", "onnx"])
def test_an_older_file_stays_when_the_new_one_is_refused(model, pixels, tmp_path, perturb, kind):
    path = tmp_path / f"m.{kind}"
    path.write_bytes(b"older")
    perturb(lambda p: p + 1)
    with pytest.raises(ApparelError, match="was not written"):
        write(model, pixels, path)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_file_is_replaced_by_a_good_one(model, pixels, tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(b"older")
    assert write(model, pixels, path) == path
    assert zipfile.is_zipfile(path)


def test_an_unknown_suffix_is_refused_before_anything_is_written(model, pixels, tmp_path):
    with pytest.raises(UsageError, match=r"'\.h5', which names no model format"):
        write(model, pixels, tmp_path / "new" / "m.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_an_os_error(model, pixels, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        write(model, pixels, tmp_path / "file" / "m.keras")


def test_a_package_that_keras_lacks_is_named(model, pixels, tmp_path, monkeypatch):
    def lack(*_, **__):
        raise ImportError("This requires the some2onnx module.")

    monkeypatch.setattr(keras.Model, "export", lack)
    with pytest.raises(ApparelError, match="some2onnx module"):
        write(model, pixels, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_given_a_bounded_number_of_pixels_at_once(with_novelty, pixels, monkeypatch):
    whole = export._run_onnx(with_novelty, pixels, "novelty")
    monkeypatch.setattr(export, "VALUES_AT_ONCE", 3 * int(np.prod(IMG_SHAPE)) + 1)
    given = []
    session = onnxruntime.InferenceSession

    class Watched(session):
        def run(self, outputs, inputs):
            given.append(len(inputs["images"]))
            return super().run(outputs, inputs)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Watched)
    parts = export._run_onnx(with_novelty, pixels, "novelty")
    assert max(given) == 3
    assert sum(given) == len(pixels)
    np.testing.assert_allclose(parts, whole, rtol=1e-5)
