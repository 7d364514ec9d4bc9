"""Write a model, compare it, keep it or refuse it; and Keras's own files."""

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from apparel.core.errors import ApparelError, UsageError
from apparel.export import comparison, exporting
from apparel.export.keras_format import model_run
from apparel.models import novelty
from tests.conftest import SMALL as IMG_SHAPE

NAMES = ("ant", "bee", "cät")


def write(model, pixels, path, **options):
    return exporting.export(
        model,
        path,
        images=pixels / np.float32(255),
        labels=np.arange(len(pixels)) % 3,
        class_names=NAMES,
        metadata={"dataset": {"source": "made up", "n": 7}},
        **options,
    ).path


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


# -- what is refused -------------------------------------------------------------------


class Changed:
    """A format whose files give something else when they are read back."""

    def __init__(self, form, change):
        self._form, self._change = form, change

    def __getattr__(self, name):
        return getattr(self._form, name)

    def open(self, path):
        run = self._form.open(path)
        return lambda pixels: {k: self._change(k, array) for k, array in run(pixels).items()}


@pytest.fixture
def change(monkeypatch):
    """Change what a written copy gives when it is run."""

    def make(change, output="probabilities"):
        for kind, form in exporting.FORMATS.items():
            changed = Changed(form, lambda name, array: change(array) if name == output else array)
            monkeypatch.setitem(exporting.FORMATS, kind, changed)

    return make


KINDS = ("keras", "onnx", "tflite", "savedmodel", "xml")


@pytest.mark.parametrize(
    "changed",
    [lambda p: p + 2e-4, lambda p: p * np.nan, lambda p: p[:, ::-1], lambda p: p[:, :2]],
    ids=["off", "nan", "swapped", "short"],
)
@pytest.mark.parametrize("kind", ["keras", "onnx"])
def test_a_copy_that_differs_is_refused_and_nothing_is_left(
    model, pixels, tmp_path, change, kind, changed
):
    change(changed)
    with pytest.raises(ApparelError, match=r"was not written: .* differ from the model's"):
        write(model, pixels, tmp_path / f"m.{kind}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changed", [lambda s: s * 1.002, lambda s: s * np.nan, lambda s: s[::-1], lambda s: s[:-1]]
)
def test_a_copy_with_other_novelty_scores_is_refused(model, pixels, tmp_path, change, changed):
    random = np.random.default_rng(0).random((200, *IMG_SHAPE), np.float32)
    learnt = novelty.fit(random, np.arange(100), np.arange(100, 200), seed=0)
    change(changed, output="novelty")
    with pytest.raises(ApparelError, match=r"was not written: .* its novelty scores differ"):
        write(model, pixels, tmp_path / "m.onnx", novelty=learnt)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_differs_by_rounding_is_kept(model, pixels, tmp_path, change):
    change(lambda p: p + 5e-5)
    assert write(model, pixels, tmp_path / "m.keras").is_file()


def test_the_refusal_tells_every_figure(model, pixels, tmp_path, change, expected):
    change(lambda p: np.roll(p, 1, axis=1))
    with pytest.raises(ApparelError) as caught:
        write(model, pixels, tmp_path / "m.keras")
    labels, moved = np.arange(7) % 3, np.roll(expected, 1, axis=1)
    right, said = (np.mean(p.argmax(axis=1) == labels) for p in (expected, moved))
    assert str(caught.value) == (
        f"{tmp_path / 'm.keras'} was not written: read back in Keras {keras.__version__}, its "
        f"probabilities differ from the model's by up to {np.abs(expected - moved).max():.2g}, "
        f"the class is the model's for 0.00% of 7 images, and the accuracy is {said:.2%} instead "
        f"of {right:.2%}. Allowed are at most 0.0001 and at least 99.9% of the classes. Please "
        "report this, with the model's summary and the output of `pip freeze`."
    )


def figures(**changes):
    of_all = {"images": 1000, "same_class": 1.0, "largest_difference": 0.0, "accuracy": 0.9}
    of_all |= {"model_accuracy": 0.9, "runtime": "R", "runtime_version": "1"}
    return comparison.Comparison(**(of_all | changes))


@pytest.mark.parametrize(
    ("precision", "changes", "accepted"),
    [
        ("float32", {"largest_difference": 1e-4, "same_class": 0.999}, True),
        ("float32", {"largest_difference": 1.1e-4}, False),
        ("float32", {"same_class": 0.998}, False),
        ("float32", {"largest_difference": float("nan")}, False),
        ("int8", {"largest_difference": 0.4, "same_class": 0.99, "accuracy": 0.8971}, True),
        ("int8", {"accuracy": 0.9029}, True),
        ("int8", {"same_class": 0.989}, False),
        ("int8", {"accuracy": 0.8969}, False),
        ("int8", {"accuracy": 0.9031}, False),
        ("int8", {"largest_difference": float("nan")}, False),
    ],
)
def test_the_limits_are_these(precision, changes, accepted):
    if accepted:
        comparison.check_same(figures(**changes), precision, "m.onnx")
    else:
        with pytest.raises(ApparelError, match=r"m\.onnx was not written"):
            comparison.check_same(figures(**changes), precision, "m.onnx")


def test_files_are_compared_by_class_by_probability_and_by_accuracy():
    expected = np.array([[0.7, 0.2, 0.1], [0.4, 0.39995, 0.20005], [0.1, 0.1, 0.8]], np.float32)
    copy = np.array([[0.6, 0.3, 0.1], [0.39999, 0.4, 0.20001], [0.1, 0.5, 0.4]], np.float32)
    found = comparison.compare(
        expected, copy, np.array([0, 1, 1]), runtime="R", runtime_version="1.2"
    )
    # In the second image, two classes are equal but for rounding.
    assert dataclasses.asdict(found) == {
        "images": 3,
        "same_class": pytest.approx(2 / 3),
        "largest_difference": pytest.approx(0.4),
        "accuracy": 1.0,
        "model_accuracy": pytest.approx(1 / 3),
        "runtime": "R",
        "runtime_version": "1.2",
    }


def put_older(path):
    """Something that is replaced by a model of the kind that the suffix names."""
    if path.suffix == ".savedmodel":
        path.mkdir()
        (path / "saved_model.pb").write_bytes(b"older")
    else:
        path.write_bytes(b"older")
    if path.suffix == ".xml":
        path.with_suffix(".bin").write_bytes(b"weights")


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_an_older_model_stays_when_the_new_one_is_refused(model, pixels, tmp_path, change, kind):
    put_older(tmp_path / f"m.{kind}")
    before = contents(tmp_path)
    change(lambda p: p + 1)
    with pytest.raises(ApparelError, match="was not written"):
        write(model, pixels, tmp_path / f"m.{kind}")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", KINDS)
def test_an_older_model_is_replaced_by_a_good_one(model, pixels, expected, tmp_path, kind):
    path = tmp_path / f"m.{kind}"
    put_older(path)
    assert write(model, pixels, path) == path
    assert not set(contents(tmp_path).values()) & {b"older", b"weights"}
    assert len(list(tmp_path.iterdir())) == (2 if kind == "xml" else 1)
    form = {"tflite": "litert", "savedmodel": "saved_model", "xml": "openvino"}.get(kind, kind)
    given = exporting.FORMATS[form].open(path)(pixels)["probabilities"]
    np.testing.assert_allclose(given, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["savedmodel", "xml"])
def test_an_older_model_stays_when_the_new_one_cannot_be_moved(
    model, pixels, tmp_path, monkeypatch, kind
):
    put_older(tmp_path / f"m.{kind}")
    before = contents(tmp_path)
    replace = Path.replace

    def fail(self, target):
        if self.parent.parent == tmp_path and self.name in {"m.savedmodel", "m.bin"}:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write(model, pixels, tmp_path / f"m.{kind}")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("made", "target", "message"),
    [
        ("m.savedmodel/notes.txt", "m.savedmodel", "exists and is no SavedModel"),
        ("m.bin", "m.xml", r"m\.bin is in the way of an OpenVINO model"),
        ("m.xml/notes.txt", "m.xml", r"m\.xml is in the way"),
        ("m.onnx/notes.txt", "m.onnx", "is a folder or a device"),
    ],
)
def test_what_is_no_model_is_not_replaced(model, pixels, tmp_path, made, target, message):
    (tmp_path / made).parent.mkdir(exist_ok=True)
    (tmp_path / made).write_text("mine")
    with pytest.raises(UsageError, match=message):
        write(model, pixels, tmp_path / target)
    assert contents(tmp_path) == {made: b"mine"}


def test_an_unknown_suffix_is_refused_before_anything_is_written(model, pixels, tmp_path):
    with pytest.raises(UsageError, match=r"'\.h5', which names no model format"):
        write(model, pixels, tmp_path / "new" / "m.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["keras", "xml", "savedmodel"])
def test_a_path_that_cannot_be_written_is_an_os_error(model, pixels, tmp_path, kind):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        write(model, pixels, tmp_path / "file" / f"m.{kind}")


def test_a_package_that_keras_lacks_is_named(model, pixels, tmp_path, monkeypatch):
    def lack(*_, **__):
        raise ImportError("This requires the some2onnx module.")

    monkeypatch.setattr(keras.Model, "export", lack)
    with pytest.raises(ApparelError, match="some2onnx module"):
        write(model, pixels, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_loses_what_it_says_is_refused(model, pixels, tmp_path, monkeypatch):
    form = exporting.FORMATS["onnx"]
    monkeypatch.setattr(form, "add_facts", lambda path, facts: None)
    with pytest.raises(ApparelError, match="with what it says of itself"):
        write(model, pixels, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_given_a_bounded_number_of_pixels_at_once(model, pixels, expected, monkeypatch):
    monkeypatch.setattr(comparison, "VALUES_AT_ONCE", 3 * int(np.prod(IMG_SHAPE)) + 1)
    given = []
    run = model_run(model)

    def watched(some):
        given.append(len(some))
        return run(some)

    parts = comparison.run_in_parts(watched, pixels)
    assert given == [3, 3, 1]
    np.testing.assert_allclose(parts["probabilities"], expected, atol=1e-6)


# -- what is told of a file ------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_tells_what_was_written(model, pixels, tmp_path, kind):
    path = tmp_path / f"m.{kind}"
    told = exporting.export(
        model,
        path,
        images=pixels / np.float32(255),
        labels=np.zeros(7, np.int64),
        class_names=NAMES,
        metadata={},
    )
    files = sorted(file for file in tmp_path.rglob("*") if file.is_file())
    assert told.size == sum(file.stat().st_size for file in files)
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    base = path if path.is_dir() else tmp_path
    lines = [f"{h}  {f.relative_to(base)}\n" for h, f in zip(hashes, files, strict=True)]
    several = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert told.sha256 == (hashes[0] if len(files) == 1 else several)
    assert (told.path, told.precision) == (path, "float32")
    assert told.comparison.images == 7
    assert told.comparison.same_class == 1
    assert told.comparison.largest_difference < 1e-5
