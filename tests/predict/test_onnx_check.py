"""Files that are read: what is found in them, against what onnx and ONNX Runtime find."""

import math

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from apparel.core.records import Calibration
from apparel.export import exporting
from apparel.models import architectures, novelty
from apparel.predict import onnx_check
from apparel.predict.model_file import examine, read_model
from apparel.predict.onnx_check import operators, wire
from apparel.predict.predictor import Predictor
from tests.made_model import EVERY_OPERATOR, made_proto, with_operator

SHAPE = (8, 9, 1)
NAMES = ("ant", "bee", "cat")
F32 = np.float32
# Operators that PyTorch's exporter writes, and TensorFlow's does not.
OF_PYTORCH = {"Constant", "Identity", "ReduceMax", "Unsqueeze"}


def small():
    """A small model like apparel's, with novelty."""
    return made_proto(SHAPE, class_names=NAMES, threshold=0.5, novelty_threshold=12.5)


# -- exports -----------------------------------------------------------------------------


def export(path, name, shape, *, slope, int8):
    """Export a model as a run would, with a temperature or bent logits."""
    random = np.random.default_rng(0)
    images = random.random((200, *shape), F32) / 2
    model = architectures.create(name, n_classes=3, img_shape=shape, seed=0)
    # A converter leaves out what is 0, as biases are at first.
    model.set_weights([w + random.normal(0, 0.01, w.shape) for w in model.get_weights()])
    bent = Calibration(temperature=1.5, target_accuracy=0.9, threshold=0.5, n_images=9,
                       knee=1.0, slope=slope)  # fmt: skip
    exporting.export(
        architectures.calibrated(model, bent), path, images=images[:4],
        labels=np.zeros(4, np.int64), class_names=NAMES, metadata={"threshold": 0.5},
        novelty=novelty.fit(images, np.arange(100), np.arange(100, 200), seed=0),
        calibration=images[:20] if int8 else None,
    )  # fmt: skip


def assert_same_message(message, proto, fields):
    """All that was read is what onnx reads, field by field."""
    known = {field.name: field for field in fields.values()}
    names = {descriptor.name for descriptor, _ in proto.ListFields()}
    assert names == {name for name, value in message.items() if value != []}
    for name in names:
        ours, theirs = message[name], getattr(proto, name)
        field = known[name]
        for one, other in zip(ours, theirs, strict=True) if field.many else [(ours, theirs)]:
            if field.schema is not None:
                assert_same_message(one, other, field.schema)
            elif isinstance(one, str) and isinstance(other, bytes):
                assert one.encode() == other
            elif field.kind == wire.DATA and not isinstance(other, bytes):
                assert len(one) == 4 * len(other) or name != "float_data"
            else:
                assert one == other or (other != other and math.isnan(one))  # noqa: PLR0124


def followed(content):
    """Every tensor of a model."""
    parsed = wire.parse(content)["graph"]
    (images,) = parsed["input"]
    sizes = [size.get("dim_value") for size in images["type"]["tensor_type"]["shape"]["dim"]]
    tensor = operators.Tensor(operators.UINT8, (operators.N_IMAGES, *sizes[1:]))
    return onnx_check._follow(parsed, {"images": tensor}, len(content))


def assert_shapes_are_the_runtimes(content):
    """Run a model on two and three images, and compare the type and shape of every tensor."""
    proto = onnx.load_from_string(content)
    known = followed(content)
    names = [name for one in proto.graph.node for name in one.output]
    del proto.graph.output[:]
    for name in names:
        proto.graph.output.append(helper.make_tensor_value_info(name, known[name].kind, None))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    for n in (2, 3):
        images = np.ones((n, *known["images"].shape[1:]), np.uint8)
        for name, array in zip(names, session.run(names, {"images": images}), strict=True):
            tensor = known[name]
            assert array.shape == tuple(n if k == operators.N_IMAGES else k for k in tensor.shape)
            if tensor.values is not None:
                values = [n if k == operators.N_IMAGES else k for k in tensor.values]
                assert array.ravel().tolist() == values


GREY, COLOUR = (28, 28, 1), (10, 12, 3)
EVERY_EXPORT = [
    ("cnn", COLOUR, 1.0, True),
    ("cnn", GREY, 0.5, False),
    ("fast", COLOUR, 0.5, False),
    ("fast", GREY, 1.0, True),
    ("best", GREY, 0.5, True),
    ("best", COLOUR, 1.0, False),
]


@pytest.mark.parametrize(
    "exports",
    [EVERY_EXPORT[:1], pytest.param(EVERY_EXPORT, marks=pytest.mark.slow)],
    ids=["one", "every"],
)
def test_exports_are_read_as_onnx_and_onnx_runtime_read_them(tmp_path, exports):
    kinds, path = set(), tmp_path / "m.onnx"
    for name, shape, slope, int8 in exports:
        export(path, name, shape, slope=slope, int8=int8)
        file = read_model(path)
        assert file.content == path.read_bytes()
        assert (file.facts.class_names, file.facts.img_shape) == (NAMES, shape)
        proto = onnx.load_from_string(file.content)
        assert_same_message(wire.parse(file.content), proto, wire.MODEL)
        assert_shapes_are_the_runtimes(file.content)
        Predictor(file, exact=True)
        kinds |= {one.op_type for one in proto.graph.node}
    if exports is EVERY_EXPORT:
        assert set(operators.OPERATORS) - kinds == OF_PYTORCH


# -- operators ---------------------------------------------------------------------------


def test_each_operator_gives_the_shape_that_onnx_runtime_gives():
    assert {made.op_type for made, _, _ in EVERY_OPERATOR} == set(operators.OPERATORS)
    for made, held, opset in EVERY_OPERATOR:
        print(made.op_type)
        assert_shapes_are_the_runtimes(with_operator(made, held, opset).SerializeToString())


# -- no two readings -----------------------------------------------------------------------


def test_a_damaged_file_is_refused_or_means_the_same_to_onnx():
    base, random, read = small().SerializeToString(), np.random.default_rng(0), []
    for at in range(0, len(base), 5):
        length = int(random.integers(1, 24))
        flipped = bytes([base[at] ^ 1 << at // 5 % 8])
        for put, dropped in ((flipped, 1), (b"", length), (base[at : at + length], 0)):
            content = base[:at] + put + base[at + dropped :]
            try:
                examine(content)
            except wire.ProblemError:
                read.append(False)
                continue
            read.append(True)
            proto = onnx.load_from_string(content)
            assert_same_message(wire.parse(content), proto, wire.MODEL)
    assert set(read) == {True, False}
