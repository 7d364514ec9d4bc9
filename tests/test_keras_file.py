"""Honest files: what is read of them, against what Keras and h5py read."""

import io
import json
import subprocess
import sys
import zipfile

import h5py
import ml_dtypes
import numpy as np
import pytest

from apparel import keras_file
from apparel.core import backend
from apparel.core.errors import ModelFileError
from apparel.export import keras_format
from apparel.keras_file import datasets, entries, following, objects, optimizers, training
from apparel.keras_file.layers import LAYERS
from apparel.models import architectures
from tests import honest_keras, made_keras

keras = backend.load_keras()
layers = keras.layers


@pytest.mark.parametrize("first", range(0, 30, 5))
def test_models_by_chance_come_back_bit_for_bit(tmp_path, first):
    honest_keras.check_many(tmp_path, 5, first=first)


def every_layer():
    """A model of every kind of layer."""
    inputs = x = keras.Input((8, 8, 3))
    x = layers.Rescaling([1.0, 0.5, 2.0], offset=0.1)(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(4, 3, activation="relu")(x)
    x = layers.SpatialDropout2D(0.1)(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    z = layers.SeparableConv2D(4, 3, padding="same")(y)
    x = layers.Multiply()([layers.Add()([x, y, z]), z])
    x = layers.Concatenate()([layers.BatchNormalization()(x), layers.LayerNormalization()(y)])
    x = layers.AveragePooling2D(2)(layers.MaxPooling2D(strides=1)(layers.LeakyReLU()(x)))
    flat = layers.Concatenate()([
        layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x), layers.Flatten()(x),
        layers.Reshape((-1,))(x),
    ])  # fmt: skip
    flat = layers.Dropout(0.1)(layers.Activation("tanh")(layers.ReLU()(flat)))
    return keras.Model(inputs, layers.Softmax()(layers.Dense(3)(flat)))


def test_every_layer_that_is_known_is_one_of_keras(tmp_path):
    model = every_layer()
    assert {type(layer).__name__ for layer in model.layers} == {*LAYERS, entries.INPUT}
    honest_keras.check(model, tmp_path / "m.keras")


@pytest.mark.parametrize("name", ["cnn", "fast", "best"])
def test_shapes_are_as_keras_computes_them(tmp_path, name):
    model = architectures.create(name, n_classes=7, img_shape=(13, 10, 3), seed=0)
    model.save(tmp_path / "m.keras")
    found = keras_file.read(tmp_path / "m.keras")
    held = {layer.name: [tuple(v.shape) for v in layer.weights] for layer in model.layers}
    assert {k: [a.shape for a in arrays] for k, arrays in found.weights.items()} == held
    assert found.kind == type(model).__name__
    assert found.compile_config == {}


def test_channels_may_come_first(tmp_path):
    first = {"data_format": "channels_first"}
    model = keras.Sequential([
        keras.Input((3, 8, 10)), layers.ZeroPadding2D(1, **first), layers.Conv2D(4, 3, **first),
        layers.BatchNormalization(axis=1), layers.AveragePooling2D(2, **first),
        layers.GlobalMaxPooling2D(keepdims=True, **first), layers.Flatten(**first),
        layers.Dense(2),
    ])  # fmt: skip
    model.save(tmp_path / "m.keras")
    opened = keras_format.load_keras_model(tmp_path / "m.keras")
    for one, other in zip(opened.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_names_of_groups_are_as_keras_makes_them():
    from keras.src.utils import naming  # noqa: PLC0415  # not public

    for name in (*LAYERS, entries.INPUT):
        assert following.snake_case(name) == naming.to_snake_case(name)


def test_what_may_be_named_is_there_in_keras():
    for name in LAYERS:
        assert isinstance(getattr(layers, name), type)
    for name in optimizers.OPTIMIZERS:
        assert isinstance(getattr(keras.optimizers, name), type)
    for name in optimizers.SCHEDULES:
        assert isinstance(getattr(keras.optimizers.schedules, name), type)
    for name in training.LOSS_NAMES:
        assert callable(keras.losses.get(name))
    for name in training.METRICS:
        assert isinstance(getattr(keras.metrics, name), type)
    for module, names in (
        (keras.initializers, objects.INITIALIZERS),
        (keras.regularizers, objects.REGULARIZERS),
        (keras.constraints, objects.CONSTRAINTS),
    ):
        for name in names:
            assert isinstance(getattr(module, name), type)
    for name in objects.ACTIVATIONS:
        assert keras.activations.get(name)(np.zeros((2, 4), np.float32)).shape == (2, 4)


def test_what_was_read_cannot_be_changed_and_is_used_again(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(made_keras.WHOLE)
    found = keras_file.read(path)
    with pytest.raises(ValueError, match="read-only"):
        found.weights["conv2d"][0][0] = 1
    np.testing.assert_array_equal(
        found.weights["conv2d"][0], made_keras.ARRAYS["layers/conv2d/vars/0"]
    )


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning")
def test_the_file_made_by_hand_is_one_that_keras_reads(tmp_path):
    """So that what is refused of its changes is refused for these."""
    for config in (made_keras.model(), made_keras.functional()):
        path = tmp_path / "m.keras"
        path.write_bytes(made_keras.zipped(config))
        opened, expected = keras_format.load_keras_model(path), keras.models.load_model(path)
        for one, other in zip(opened.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_optimiser_that_was_saved_on_pytorch_has_its_public_name(tmp_path):
    path = tmp_path / "m.keras"
    written = {
        **made_keras.ADAM,
        "module": "keras.src.backend.torch.optimizers.torch_adam",
        "registered_name": "Adam",
    }
    compiled = {**made_keras.COMPILED, "optimizer": written}
    path.write_bytes(made_keras.zipped(made_keras.model(compile_config=compiled)))
    assert keras_file.read(path).compile_config["optimizer"] == made_keras.ADAM


# -- files -------------------------------------------------------------------------------


def packed(method):
    held = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(made_keras.WHOLE)) as whole,
        zipfile.ZipFile(held, "w", method) as archive,
    ):
        for name in reversed(whole.namelist()):
            archive.writestr(name, whole.read(name))
    return held.getvalue()


def test_a_file_that_was_packed_once_more_is_read(tmp_path):
    path = tmp_path / "m.keras"
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path.write_bytes(packed(method))
        assert keras_file.read(path).weights["dense"][0].shape == (18, 3)


def test_times_and_owners_in_a_zip_file_are_no_harm(tmp_path):
    extra = b"\x55\x54\x05\x00\x03abcd" + b"\x75\x78\x0b\x00\x01" + bytes(10)
    path = tmp_path / "m.keras"
    path.write_bytes(made_keras.raw_zip([
        made_keras.Entry(made_keras.METADATA, b"{}", extra=extra, flags=0x806),
        made_keras.Entry(made_keras.CONFIG, made_keras.as_bytes(made_keras.model()), deflate=True),
        made_keras.Entry(made_keras.WEIGHTS, made_keras.WHOLE_WEIGHTS, attributes=0o100644 << 16),
    ]))  # fmt: skip
    assert keras_file.read(path).kind == keras_file.SEQUENTIAL


@pytest.mark.parametrize("libver", ["earliest", "v108", "v110", "latest"])
def test_older_and_newer_forms_of_hdf5_are_read(tmp_path, libver):
    path = tmp_path / "m.keras"
    path.write_bytes(made_keras.zipped(held=made_keras.weights(libver=libver)))
    found = keras_file.read(path).weights
    for name, array in made_keras.ARRAYS.items():
        if name.startswith("layers"):
            layer, k = name.split("/")[1::2]
            np.testing.assert_array_equal(found[layer][int(k)], array)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("dtype", [d for d in datasets.SIZES if d != "bfloat16"])
def test_numbers_are_read_as_h5py_writes_them(libver, dtype):
    held = io.BytesIO()
    array = np.random.default_rng(0).integers(0, 200, (2, 3)).astype(dtype)
    with h5py.File(held, "w", libver=libver) as file:
        file["x"] = array
    source = keras_file.weights.Source(held.getvalue())
    link = keras_file.weights.links(source, keras_file.weights.root(source), "root")["x"]
    found = datasets.dataset(source, link, "x")
    assert (found.shape, found.dtype) == ((2, 3), dtype)
    np.testing.assert_array_equal(np.frombuffer(held.getvalue(), dtype, 6, found.at), array.ravel())


def test_every_bfloat16_is_the_same_in_float32(tmp_path):
    values = np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16)

    def change(file):
        del file["layers/dense/vars/1"]
        file.create_dataset("layers/dense/vars/1", data=values).attrs["dtype"] = "bfloat16"
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = np.zeros((18, 1 << 16), ml_dtypes.bfloat16)
        del file["optimizer"]

    policy = made_keras.made("keras", "DTypePolicy", name="bfloat16")
    wide = made_keras.dense(units=1 << 16, dtype=policy)
    path = tmp_path / "m.keras"
    path.write_bytes(
        made_keras.zipped(
            made_keras.model([*made_keras.LAYERS[:-1], wide]), made_keras.weights(change)
        )
    )
    (found,) = keras_file.read(path).weights["dense"][1:]
    np.testing.assert_array_equal(found, values.astype(np.float32))


def test_what_keras_refuses_after_all_is_named(tmp_path):
    """Its layers know what they take best: this one cannot be told whether it is trainable."""
    config = made_keras.model()
    config["config"]["layers"][3] = made_keras.layer("SpatialDropout2D", rate=0.5)
    held = made_keras.weights(lambda file: file.__delitem__("layers/dropout"))
    path = tmp_path / "m.keras"
    path.write_bytes(made_keras.zipped(config, held))
    keras_file.read(path)
    with pytest.raises(ModelFileError, match=r"m\.keras is not a model that Keras can open \(.*"):
        keras_format.load_keras_model(path)


def test_keras_never_reads_the_file(tmp_path, monkeypatch):
    model = architectures.create("cnn", n_classes=3, img_shape=(8, 9, 1), seed=0)
    model.save(tmp_path / "m.keras")

    def read(*_, **__):
        raise AssertionError("the file was read by Keras")

    monkeypatch.setattr(h5py, "File", read)
    monkeypatch.setattr(keras.saving, "load_model", read)
    monkeypatch.setattr(keras.models, "load_model", read)
    opened = keras_format.load_keras_model(tmp_path / "m.keras")
    for one, other in zip(opened.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_examining_needs_no_keras(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(made_keras.WHOLE)
    code = (
        "import json, sys; from apparel import keras_file; keras_file.read(sys.argv[1]);"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert not set(json.loads(result.stdout)) & {"keras", "tensorflow", "h5py", "ml_dtypes"}
