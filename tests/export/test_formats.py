"""Every format: raw pixels in, named probabilities out, facts in the file, and int8."""

import base64
import hashlib
import io
import re
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from PIL import Image

from apparel import ApparelClassifier
from apparel._version import __version__
from apparel.core.errors import ApparelError, UsageError
from apparel.core.model_formats import SUFFIXES
from apparel.core.records import Splits
from apparel.export import exporting, metadata
from apparel.export.onnx_format import OnnxFormat
from apparel.models import novelty

# Names as folders may have them: quotes, angle brackets, other scripts, bytes that are no UTF-8.
NAMES = ('a "quoted" & <b>', "bëe — 蜂", "c\\n\\")
GREY, RGB = (8, 9, 1), (10, 8, 3)
SLOW = pytest.mark.slow
# LiteRT is an extra, and its converter takes seconds.
DEPLOYED = ("onnx", "saved_model", "openvino", pytest.param("litert", marks=SLOW))
INT8 = ("onnx", "openvino", pytest.param("litert", marks=SLOW))


def pictures(shape, n, seed):
    """Noise with a bright bar at the top, in the middle or at the bottom, and which one it is."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    images = random.integers(0, 120, (n, *shape), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 1 : 2 * label + 3] += 60
    return images, labels.astype(np.int64)


@pytest.fixture(scope="module", params=[GREY, pytest.param(RGB, marks=SLOW)], ids=["grey", "rgb"])
def trained(request):
    """A model that tells the bars apart, images that it did not see, and their labels."""
    classifier = ApparelClassifier(img_shape=request.param, epochs=5, batch_size=32)
    classifier.fit(*pictures(request.param, 600, seed=0))
    images, labels = pictures(request.param, 1200, seed=1)
    return classifier, images, labels


def fitted(images):
    return novelty.fit(images, np.arange(400), np.arange(400, 600), seed=0)


@pytest.fixture(scope="module")
def write(trained):
    classifier, images, labels = trained

    def write(path, **options):
        return exporting.export(
            classifier.model,
            path,
            images=images / np.float32(255),
            labels=labels,
            class_names=NAMES,
            metadata={"dataset": {"source": "made up"}, "threshold": 0.5},
            novelty=fitted(images / np.float32(255)),
            **options,
        )

    return write


@pytest.fixture(scope="module")
def exported(write, tmp_path_factory):
    """Write each format once, with or without int8."""
    written = {}

    def once(kind, *, int8=False, seen=None):
        if (kind, int8) not in written:
            options = {"calibration": seen} if int8 else {"show_examples": True}
            path = tmp_path_factory.mktemp("exported") / f"m{SUFFIXES[kind]}"
            written[kind, int8] = write(path, **options)
        return written[kind, int8]

    return once


# -- each in its own runtime, by the code in the documentation ---------------------------

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
PIECES = {
    re.search(r'"model(\.\w+)', piece)[1]: piece
    for piece in re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
}


def read(path, images):
    """The probabilities that a file gives, and the facts in it."""
    names = {"images": images}
    code = PIECES[path.suffix].replace(f"model{path.suffix}", str(path))
    exec(code, names)  # noqa: S102  # the project's own page
    return names["probabilities"], names.get("facts")


@pytest.mark.parametrize("kind", ["keras", *DEPLOYED])
def test_a_file_gives_the_models_probabilities_for_any_number_of_images(trained, exported, kind):
    classifier, images, _ = trained
    path = exported(kind).path
    expected = np.asarray(classifier.model(images[:7] / np.float32(255)))
    for n in (1, 2, 7):
        np.testing.assert_allclose(read(path, images[:n])[0], expected[:n], atol=1e-5)


@pytest.mark.parametrize("kind", INT8)
def test_int8_is_small_and_nearly_the_same(trained, exported, kind):
    classifier, images, labels = trained
    small = exported(kind, int8=True, seen=images[:200] / np.float32(255))
    expected = classifier.predict_proba(images)
    given, _ = read(small.path, images)
    found = small.comparison
    assert small.precision == "int8"
    assert small.size < 0.7 * exported(kind).size  # of so small a model, much is no weight
    assert found.same_class == np.mean(given.argmax(axis=1) == expected.argmax(axis=1))
    assert found.largest_difference == pytest.approx(np.abs(given - expected).max(), abs=1e-6)
    assert found.largest_difference > 1e-5  # else it was not int8
    assert found.accuracy == np.mean(given.argmax(axis=1) == labels) > 0.95
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=0.01)


def test_int8_onnx_holds_whole_numbers_and_a_novelty_score_in_float32(trained, write, tmp_path):
    _, images, _ = trained
    unit = images / np.float32(255)
    path = write(tmp_path / "m.onnx", calibration=unit[:200]).path
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
    np.testing.assert_allclose(scores, novelty.score(fitted(unit), unit[:50]), rtol=1e-3)


@pytest.mark.parametrize("kind", ["keras", "saved_model"])
def test_int8_is_refused_where_there_is_none(write, tmp_path, kind):
    with pytest.raises(UsageError, match=rf"the format {kind} has no int8\..*onnx, litert, openv"):
        write(tmp_path / f"m{SUFFIXES[kind]}", calibration=np.zeros((1, 8, 9, 1)))
    assert list(tmp_path.iterdir()) == []


# -- what a file says of itself ---------------------------------------------------------


@pytest.mark.parametrize("kind", ["keras", *DEPLOYED])
def test_an_export_tells_what_was_written(exported, kind):
    told = exported(kind)
    base = told.path if told.path.is_dir() else told.path.parent
    files = sorted(file for file in base.rglob("*") if file.is_file())
    assert told.size == sum(file.stat().st_size for file in files)
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    lines = [f"{h}  {f.relative_to(base)}\n" for h, f in zip(hashes, files, strict=True)]
    several = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert told.sha256 == (hashes[0] if len(files) == 1 else several)
    assert (told.format, told.precision, told.comparison.images) == (kind, "float32", 1200)
    assert told.comparison.same_class == 1
    assert told.comparison.largest_difference < 1e-5


def test_the_keras_file_holds_classes_of_keras_only(exported):
    with zipfile.ZipFile(exported("keras").path) as archive:
        text = archive.read("config.json").decode()
    assert set(re.findall(r'"module": "(\w+)', text)) == {"keras"}
    assert set(re.findall(r'"registered_name": ([^,}]+)', text)) == {"null"}
    assert "apparel" not in text


@pytest.mark.parametrize("kind", DEPLOYED)
def test_a_file_states_facts_about_itself(trained, exported, kind):
    written = exported(kind)
    _, said = read(written.path, trained[1][:1])
    if kind == "onnx":
        assert said.pop("novelty_threshold") > 0
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


def test_examples_are_classified_correctly_and_confidently():
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
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
            np.testing.assert_array_equal(decoded[label], images[index])


# -- packages that are missing ----------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [("openvino", "openvino", "openvino"), ("litert", "ai_edge_litert.interpreter", "litert")],
)
def test_a_missing_package_is_named_with_what_installs_it(
    write, tmp_path, monkeypatch, kind, package, extra
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ApparelError, match=rf"pip install 'apparel\[{extra}\]'"):
        write(tmp_path / f"m{SUFFIXES[kind]}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["saved_model", pytest.param("litert", marks=SLOW)])
def test_another_backend_is_told_which_one_writes_it(write, tmp_path, monkeypatch, kind):
    monkeypatch.setattr("apparel.core.backend.on_tensorflow", lambda: False)
    with pytest.raises(
        ApparelError, match=rf"KERAS_BACKEND=tensorflow and use: .* --format {kind}"
    ):
        write(tmp_path / f"m{SUFFIXES[kind]}")
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_keras_lacks_is_named(write, tmp_path, monkeypatch):
    def lack(*_, **__):
        raise ImportError("This requires the some2onnx module.")

    monkeypatch.setattr(keras.Model, "export", lack)
    with pytest.raises(ApparelError, match="some2onnx module"):
        write(tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


# -- from the classifier ----------------------------------------------------------------


@SLOW
def test_a_classifier_exports_by_the_suffix_and_in_int8(trained, tmp_path, monkeypatch, capsys):
    classifier, images, _ = trained
    monkeypatch.setattr("apparel.export.comparison.LEAST_SAME", {"float32": 0.9, "int8": 0.9})
    monkeypatch.setattr("apparel.export.comparison.ACCURACY_TOLERANCE", 0.1)  # sixty images
    path = classifier.export_model(tmp_path / "m.tflite", int8=True)
    assert capsys.readouterr().out == f"Model saved to {path}\n"
    given, said = read(path, images)
    assert (said["precision"], said["photo_steps"], said["accuracy"]) == ("int8", None, None)
    assert said["verified"]["images"] == len(classifier._trained.splits.validation)
    assert said["settings"]["epochs"] == said["recipe"]["epochs"] == 5
    assert said["threshold"] == classifier.calibration.threshold
    assert "examples" not in said
    assert np.mean(given.argmax(axis=1) == classifier.predict_proba(images).argmax(axis=1)) > 0.95


def test_images_put_in_by_hand_are_not_shown():
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
    other = {**classifier._loaded.manifest, "sha256": "other"}
    copied = np.array(classifier.train_images)
    for changes in ({"manifest": other}, {"train_images": copied}):
        assert not classifier._is_fashion_mnist(replace(splits, **changes))
