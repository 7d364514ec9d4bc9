"""Every export is read back and compared; it is moved into place whole, or not at all."""

import dataclasses
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
import pytest

from apparel.core import atomic_files
from apparel.core.errors import ApparelError, UsageError
from apparel.core.model_formats import SUFFIXES
from apparel.export import comparison, exporting
from apparel.export.atomic_outputs import placed
from apparel.export.format import Format
from apparel.export.keras_format import model_run
from apparel.models import novelty
from tests.conftest import SMALL as IMG_SHAPE


class Stub(Format):
    """Gives the model's outputs, changed by functions of a test, and its facts if it states any."""

    runtime = "Stub"

    def __init__(self):
        self.change, self.states = {}, True
        self._run = self._novelty = self._facts = None

    def version(self):
        return "1.0"

    def write(self, network, path):
        path.write_text("model")
        self._run, self._novelty = model_run(network.model), network.novelty

    def open(self, path):  # its own
        def run(pixels):
            given = dict(self._run(pixels))
            if self._novelty:
                given["novelty"] = novelty.score(self._novelty, pixels / np.float32(255))
            return {name: self.change.get(name, lambda x: x)(x) for name, x in given.items()}

        return run

    def add_facts(self, path, facts):  # as above
        self._facts = facts

    def read_facts(self, path):  # as above
        return self._facts if self.states else {}


@pytest.fixture
def stub(monkeypatch):
    """Takes the place of every format."""
    form = Stub()
    monkeypatch.setattr(exporting, "_format", lambda _: form)
    return form


@pytest.fixture
def write(model, pixels):
    def write(path, **options):
        return exporting.export(
            model,
            path,
            images=pixels / np.float32(255),
            labels=np.arange(len(pixels)) % 3,
            class_names=("ant", "bee", "cät"),
            metadata={"dataset": {"source": "made up", "n": 7}},
            **options,
        )

    return write


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize("changed", [lambda p: p * np.nan, lambda p: p[:, :2]])
def test_a_copy_that_differs_is_refused_and_nothing_is_left(stub, write, tmp_path, changed):
    stub.change["probabilities"] = changed
    with pytest.raises(ApparelError, match=r"was not written: .* differ from the model's"):
        write(tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changed", [lambda s: s * 1.002, lambda s: s * np.nan, lambda s: s[:-1]])
def test_a_copy_with_other_novelty_scores_is_refused(stub, write, tmp_path, changed):
    random = np.random.default_rng(0).random((200, *IMG_SHAPE), np.float32)
    fitted = novelty.fit(random, np.arange(100), np.arange(100, 200), seed=0)
    write(tmp_path / "m.onnx", novelty=fitted)
    before = contents(tmp_path)
    stub.change["novelty"] = changed
    with pytest.raises(ApparelError, match=r"was not written: .* its novelty scores differ"):
        write(tmp_path / "m.onnx", novelty=fitted)
    assert contents(tmp_path) == before


def test_the_refusal_tells_every_figure(stub, write, tmp_path, expected):
    stub.change["probabilities"] = lambda p: np.roll(p, 1, axis=1)
    labels, moved = np.arange(7) % 3, np.roll(expected, 1, axis=1)
    right, said = (np.mean(p.argmax(axis=1) == labels) for p in (expected, moved))
    told = (
        f"read back in Stub 1.0, .* by up to {np.abs(expected - moved).max():.2g}, .* for 0.00% of "
        f"7 images, .* is {said:.2%} instead of {right:.2%}. Allowed are at most 0.0001 and at "
        "least 99.9%"
    )
    with pytest.raises(ApparelError, match=told):
        write(tmp_path / "m.keras")


def test_a_model_that_gives_no_numbers_is_refused(stub, pixels, tmp_path):  # used
    broken = keras.Sequential([keras.Input(IMG_SHAPE), keras.layers.Flatten(),
                               keras.layers.Dense(3, kernel_initializer="zeros")])  # fmt: skip
    broken.layers[-1].bias.assign(np.full(3, np.nan))
    with pytest.raises(ApparelError, match="because training diverged"):
        exporting.export(
            broken, tmp_path / "m.keras", images=pixels / np.float32(255),
            labels=np.zeros(7, np.int64), class_names=tuple("abc"), metadata={},
        )  # fmt: skip


def test_a_file_that_loses_its_facts_is_refused(stub, write, tmp_path):
    stub.states = False
    with pytest.raises(ApparelError, match="with its facts added, it reads back as something else"):
        write(tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


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
        ("int8", {"largest_difference": 0.4, "same_class": 0.99, "accuracy": 0.8971}, True),
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


def test_a_file_computes_in_batches(pixels, monkeypatch):
    monkeypatch.setattr(comparison, "VALUES_AT_ONCE", 3 * int(np.prod(IMG_SHAPE)) + 1)
    found = comparison.run_in_parts(lambda some: {"n": np.full(len(some), len(some))}, pixels)
    assert found["n"].tolist() == [3, 3, 3, 3, 3, 3, 1]


# -- where it is written ---------------------------------------------------------------


def put(path, content):
    """Write what looks like a model of the format that the suffix names."""
    if path.suffix == ".savedmodel":
        path.mkdir()
        path = path / "saved_model.pb"
    path.write_bytes(content)
    if path.suffix == ".xml":
        path.with_suffix(".bin").write_bytes(content)


@pytest.mark.parametrize(("kind", "suffix"), SUFFIXES.items())
def test_an_older_model_stays_unless_the_new_one_is_good(tmp_path, kind, suffix):
    path = tmp_path / ("m" * 240 + suffix)
    with placed(path, kind) as temporary:
        put(temporary, b"older")
    before = contents(tmp_path)
    with suppress(ApparelError), placed(path, kind) as temporary:
        put(temporary, b"new")
        assert atomic_files.is_partial(temporary.parent)  # what a killed process leaves
        raise ApparelError
    assert contents(tmp_path) == before
    with placed(path, kind) as temporary:
        put(temporary, b"new")
    assert set(contents(tmp_path).values()) == {b"new"}
    assert path.exists()
    assert len(list(tmp_path.iterdir())) == (2 if kind == "openvino" else 1)


@pytest.mark.parametrize(("kind", "suffix"), [("saved_model", ".savedmodel"), ("openvino", ".xml")])
def test_an_older_model_stays_when_the_new_one_cannot_be_moved(tmp_path, monkeypatch, kind, suffix):
    path = tmp_path / f"m{suffix}"
    put(path, b"older")
    before, replace = contents(tmp_path), Path.replace

    def fail(self, target):
        if self.parent.parent == tmp_path and self.name in {"m.savedmodel", "m.bin"}:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"), placed(path, kind) as temporary:
        put(temporary, b"new")
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
@pytest.mark.usefixtures("stub")
def test_what_is_no_model_is_not_replaced(write, tmp_path, made, target, message):
    (tmp_path / made).parent.mkdir(exist_ok=True)
    (tmp_path / made).write_text("mine")
    with pytest.raises(UsageError, match=message):
        write(tmp_path / target)
    assert contents(tmp_path) == {made: b"mine"}


@pytest.mark.usefixtures("stub")
def test_a_path_that_names_no_format_or_cannot_be_written_is_refused(write, tmp_path):
    with pytest.raises(UsageError, match=r"'\.h5', which names no model format"):
        write(tmp_path / "new" / "m.h5")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        write(tmp_path / "file" / "m.xml")
