"""Every format: raw pixels in, named probabilities out, facts in the file, and int8."""

import base64
import io
import json
import sys

import keras
import numpy as np
import onnx
import pytest
from PIL import Image

from apparel import ApparelClassifier
from apparel._version import __version__
from apparel.core.errors import ApparelError, UsageError
from apparel.core.model_formats import INT8_FORMATS, SUFFIXES
from apparel.core.records import Splits
from apparel.export import exporting, metadata
from apparel.export.onnx_format import OnnxFormat
from apparel.models import keras_inference

# Names as folders may have them: quotes, angle brackets, other scripts, bytes that are no UTF-8.
NAMES = ('a "quoted" & <b>', "bëe — 蜂", "c\\n\\")
DEPLOYED = ("onnx", "litert", "saved_model", "openvino")
GREY, RGB = (8, 9, 1), (10, 8, 3)


def pictures(shape, n, seed):
    """Noise with a bright bar at the top, in the middle or at the bottom, and which one it is."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    images = random.integers(0, 120, (n, *shape), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 1 : 2 * label + 3] += 60
    return images, labels.astype(np.int64)


@pytest.fixture(scope="module", params=[GREY, RGB], ids=["grey", "rgb"])
def trained(request):
    """A model that tells the bars apart, images that it did not see, and their labels."""
    classifier = ApparelClassifier(img_shape=request.param, epochs=6, batch_size=32)
    classifier.fit(*pictures(request.param, 600, seed=0))
    images, labels = pictures(request.param, 1200, seed=1)
    return classifier, images, labels


def write(trained, path, **options):
    classifier, images, labels = trained
    return exporting.export(
        classifier.model,
        path,
        images=images / np.float32(255),
        labels=labels,
        class_names=NAMES,
        metadata={"dataset": {"source": "made up"}, "threshold": 0.5},
        **options,
    )


# -- each in its own runtime, by other means than apparel's -----------------------------


def run_onnx(path, images):
    import onnxruntime  # noqa: PLC0415  # each runtime where it is needed

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"images": images})[0]


def run_litert(path, images):
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  # as above

    interpreter = Interpreter(model_path=str(path))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(taken["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], images)
    interpreter.invoke()
    assert interpreter.get_signature_list()["serving_default"]["inputs"] == ["images"]
    return interpreter.get_tensor(given["index"])


def run_saved_model(path, images):
    layer = keras.layers.TFSMLayer(path, call_endpoint="serving_default")
    return np.asarray(layer(images)["probabilities"])


def run_openvino(path, images):
    import openvino  # noqa: PLC0415  # as above

    model = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert model.input().any_name == "images"
    return model(images)["probabilities"]


RUN = {"onnx": run_onnx, "litert": run_litert, "saved_model": run_saved_model,
       "openvino": run_openvino}  # fmt: skip


@pytest.mark.parametrize("kind", DEPLOYED)
def test_a_file_gives_the_models_probabilities_for_any_number_of_images(trained, tmp_path, kind):
    classifier, images, _ = trained
    path = write(trained, tmp_path / f"m{SUFFIXES[kind]}").path
    expected = np.asarray(classifier.model(images[:7] / np.float32(255)))
    for n in (1, 2, 7):
        np.testing.assert_allclose(RUN[kind](path, images[:n]), expected[:n], atol=1e-5)


@pytest.mark.parametrize("kind", INT8_FORMATS)
def test_int8_is_small_and_nearly_the_same(trained, tmp_path, kind):
    classifier, images, labels = trained
    seen = pictures(images.shape[1:], 300, seed=2)[0] / np.float32(255)
    small = write(trained, tmp_path / f"m.int8{SUFFIXES[kind]}", calibration=seen)
    large = write(trained, tmp_path / f"m{SUFFIXES[kind]}")
    expected = classifier.predict_proba(images)
    given = RUN[kind](small.path, images)
    found = small.comparison
    assert small.precision == "int8"
    assert small.size < 0.7 * large.size  # of so small a model, much is no weight
    assert found.same_class == np.mean(given.argmax(axis=1) == expected.argmax(axis=1))
    assert found.largest_difference == pytest.approx(np.abs(given - expected).max(), abs=1e-6)
    assert found.largest_difference > 1e-4  # else it was not int8
    assert found.accuracy == np.mean(given.argmax(axis=1) == labels) > 0.95
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=0.01)


def test_int8_onnx_holds_whole_numbers_and_a_novelty_score_in_float32(trained, tmp_path):
    from apparel.models import novelty  # noqa: PLC0415  # one test's

    _, images, _ = trained
    unit = images / np.float32(255)
    learnt = novelty.fit(unit, np.arange(400), np.arange(400, 600), seed=0)
    path = write(trained, tmp_path / "m.onnx", calibration=unit[:200], novelty=learnt).path
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    kinds = {tensor.data_type for tensor in proto.graph.initializer if len(tensor.dims) > 1}
    assert onnx.TensorProto.INT8 in kinds
    whole = {t.name for t in proto.graph.initializer if t.data_type == onnx.TensorProto.INT8}
    assert not any(name.startswith("novelty/") for name in whole)
    # Seven bits, which no processor's sums of two products overflow with.
    weights = [onnx.numpy_helper.to_array(t) for t in proto.graph.initializer if t.name in whole]
    assert max(np.abs(array.astype(int)).max() for array in weights) == 64
    assert {node.domain for node in proto.graph.node} == {""}
    assert [entry.domain for entry in proto.opset_import] == [""]
    assert OnnxFormat().needs(path)["onnxruntime"] == "1.9"
    scores = OnnxFormat().open(path)(images[:50])["novelty"]
    np.testing.assert_allclose(scores, novelty.score(learnt, unit[:50]), rtol=1e-3)


def test_int8_litert_takes_whole_numbers_into_its_layers(trained, tmp_path):
    from tensorflow.lite.python import schema_py_generated as schema  # noqa: PLC0415  # as above

    unit = trained[1][:200] / np.float32(255)
    content = write(trained, tmp_path / "m.tflite", calibration=unit).path.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    (graph,) = model.subgraphs
    kinds = [model.operatorCodes[op.opcodeIndex].builtinCode for op in graph.operators]
    convolutions = [
        op
        for op, kind in zip(graph.operators, kinds, strict=True)
        if kind == schema.BuiltinOperator.CONV_2D
    ]
    assert len(convolutions) == 2
    for op in convolutions:
        taken = [graph.tensors[index].type for index in op.inputs[:2]]
        assert taken == [schema.TensorType.INT8] * 2


@pytest.mark.parametrize("kind", ["keras", "saved_model"])
def test_int8_is_refused_where_there_is_none(trained, tmp_path, kind):
    with pytest.raises(UsageError, match=rf"the format {kind} has no int8\..*onnx, litert, openv"):
        write(trained, tmp_path / f"m{SUFFIXES[kind]}", calibration=np.zeros((1, 8, 9, 1)))
    assert list(tmp_path.iterdir()) == []


# -- what a file says of itself ---------------------------------------------------------


def read_onnx(path):
    return {entry.key: json.loads(entry.value) for entry in onnx.load(path).metadata_props}


def read_litert(path):
    from tensorflow.lite.python import schema_py_generated as schema  # noqa: PLC0415  # as above

    model = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)
    (entry,) = (entry for entry in model.metadata if entry.name == b"apparel")
    return json.loads(bytes(model.buffers[entry.buffer].data))


def read_saved_model(path):
    return json.loads((path / "assets.extra" / "apparel.json").read_text(encoding="utf-8"))


def read_openvino(path):
    from xml.etree import ElementTree as ET  # noqa: PLC0415  # as above

    return json.loads(ET.parse(path).find("rt_info/apparel").get("value"))  # noqa: S314  # ours


READ = {"onnx": read_onnx, "litert": read_litert, "saved_model": read_saved_model,
        "openvino": read_openvino}  # fmt: skip


@pytest.mark.parametrize("kind", DEPLOYED)
def test_a_file_says_what_it_is(trained, tmp_path, kind):
    written = write(trained, tmp_path / f"m{SUFFIXES[kind]}", show_examples=True)
    said = READ[kind](written.path)
    found = written.comparison
    assert said == {
        "class_names": list(NAMES),
        "img_shape": list(trained[1].shape[1:]),
        "colour_mode": "grey" if trained[1].shape[3] == 1 else "rgb",
        "dataset": {"source": "made up"},
        "threshold": 0.5,
        "precision": "float32",
        "needs": written.needs,
        "apparel": {"version": __version__, "format": 1},
        "verified": {
            "images": 1200,
            "same_class": 1.0,
            "largest_difference": found.largest_difference,
            "accuracy": found.accuracy,
            "model_accuracy": found.model_accuracy,
            "runtime": found.runtime,
            "runtime_version": found.runtime_version,
        },
        "examples": said["examples"],
    }
    if kind != "onnx":
        assert said["needs"] == {
            "runtime": found.runtime,
            "version": found.runtime_version,
        }
    assert exporting.FORMATS[kind].read_facts(written.path) == said


def test_examples_are_named_rightly_and_sure():
    images = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5, 1)
    labels = np.array([0, 0, 0, 1, 1, 2])
    probabilities = np.array(
        [[0.1, 0.9, 0], [0.6, 0.4, 0], [0.9, 0.1, 0], [0.2, 0.8, 0], [0, 1, 0], [0.9, 0, 0.1]]
    )
    for threshold, expected in ((0.7, {"a": 2, "b": 3}), (None, {"a": 1, "b": 3}), (1.0, {"b": 4})):
        shown = metadata.examples(images, labels, probabilities, ["a", "b", "c"], threshold)
        decoded = {
            example["label"]: np.asarray(Image.open(io.BytesIO(base64.b64decode(example["png"]))))
            for example in shown
        }
        assert set(decoded) == set(expected)
        for label, index in expected.items():
            np.testing.assert_array_equal(decoded[label], images[index, :, :, 0])


def test_examples_keep_their_colours():
    images = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 3), dtype=np.uint8)
    (shown,) = metadata.examples(images, np.array([0]), np.ones((1, 1)), ["a"], None)
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(base64.b64decode(shown["png"])))), images[0]
    )


# -- packages that are missing ----------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [("openvino", "openvino", "openvino"), ("litert", "ai_edge_litert.interpreter", "litert")],
)
def test_a_missing_package_is_named_with_what_installs_it(
    trained, tmp_path, monkeypatch, kind, package, extra
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ApparelError, match=rf"pip install 'apparel\[{extra}\]'"):
        write(trained, tmp_path / f"m{SUFFIXES[kind]}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["litert", "saved_model"])
def test_another_backend_is_told_which_one_writes_it(trained, tmp_path, monkeypatch, kind):
    monkeypatch.setattr("apparel.core.backend.on_tensorflow", lambda: False)
    with pytest.raises(
        ApparelError, match=rf"KERAS_BACKEND=tensorflow and use: .* --format {kind}"
    ):
        write(trained, tmp_path / f"m{SUFFIXES[kind]}")
    assert list(tmp_path.iterdir()) == []


# -- from the classifier ----------------------------------------------------------------


def test_a_classifier_exports_by_the_suffix_and_in_int8(trained, tmp_path, monkeypatch, capsys):
    classifier, images, _ = trained
    monkeypatch.setattr("apparel.export.comparison.LEAST_SAME", {"float32": 0.9, "int8": 0.9})
    monkeypatch.setattr("apparel.export.comparison.ACCURACY_TOLERANCE", 0.1)  # sixty images
    path = classifier.export_model(tmp_path / "m.tflite", int8=True)
    assert capsys.readouterr().out == f"Model saved to {path}\n"
    said = read_litert(path)
    assert (said["precision"], said["photo_steps"], said["accuracy"]) == ("int8", None, None)
    assert said["verified"]["images"] == 60
    assert said["settings"]["epochs"] == said["recipe"]["epochs"] == 6
    assert said["threshold"] == classifier.calibration.threshold
    assert "examples" not in said
    given = run_litert(path, images).argmax(axis=1)
    assert np.mean(given == classifier.predict_proba(images).argmax(axis=1)) > 0.95


def test_images_that_somebody_put_in_are_not_shown(monkeypatch):
    classifier = ApparelClassifier(limit=40, epochs=1).import_data().prepare_data()
    splits = Splits(
        train_images=classifier.train_images,
        train_labels=classifier.train_labels,
        test_images=classifier.test_images,
        test_labels=classifier.test_labels,
        training=np.arange(30),
        validation=np.arange(30, 40),
        manifest=classifier._loaded.manifest,
    )
    assert classifier._is_fashion_mnist(splits)
    assert len(keras_inference.comparison_images(splits)[0]) == 10
    other = {**classifier._loaded.manifest, "sha256": "other"}
    copied = np.array(classifier.train_images)
    for changes in ({"manifest": other}, {"train_images": copied}):
        assert not classifier._is_fashion_mnist(Splits(**{**vars(splits), **changes}))
