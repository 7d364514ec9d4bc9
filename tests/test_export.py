import json
import zipfile

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from apparel import export
from apparel.errors import ApparelError, ModelFileError, UsageError
from tests.conftest import SMALL as IMG_SHAPE

NAMES = ("ant", "bee", "cät")


def write(model, pixels, path):
    return export.export(
        model,
        path,
        images=pixels / np.float32(255),
        class_names=NAMES,
        metadata={"dataset": {"source": "made up", "n": 7}},
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
        monkeypatch.setattr(export, "_run_onnx", lambda path, images: change(run(path, images)))

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
