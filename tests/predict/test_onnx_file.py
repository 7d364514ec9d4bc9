"""Files that are read: what is said of them, against what onnx says."""

import contextlib
import json
import math
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto as T
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from apparel.core.errors import ModelFileError
from apparel.export import exporting
from apparel.models import architectures, novelty
from apparel.predict import onnx_check
from apparel.predict.onnx_check import graph, operators, problems, schema, wire

SHAPE = (8, 9, 1)
NAMES = ("ant", "bee", "cat")


def constants(**arrays):
    return [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]


def small(nodes=None, initializers=None, *, n_classes=3, opset=15, shape=SHAPE):
    """A small model like apparel's, by hand: images → probabilities and novelty.

    Other nodes take `x`, float32 (n, 8, 9, 1), and give `scores`, float32 (n, 3).
    """
    if nodes is None:
        nodes = [
            helper.make_node("Reshape", ["x", "planes"], ["p"]),
            helper.make_node("Conv", ["p", "filters", "bias"], ["c"], kernel_shape=[3, 3],
                             strides=[1, 1], pads=[1, 1, 1, 1], dilations=[1, 1], group=1),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("MaxPool", ["r"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("GlobalAveragePool", ["m"], ["g"]),
            helper.make_node("Flatten", ["g"], ["f"]),
            helper.make_node("MatMul", ["f", "weights"], ["scores"]),
        ]  # fmt: skip
    ones = np.ones((2, 1, 3, 3), np.float32)
    held = constants(
        planes=np.array([-1, 1, 8, 9]), filters=ones, bias=np.zeros(2, np.float32),
        weights=np.ones((2, 3), np.float32), axes=np.array([1, 2, 3]),
    )  # fmt: skip
    outputs = [
        helper.make_tensor_value_info("probabilities", T.FLOAT, ["batch", n_classes]),
        helper.make_tensor_value_info("novelty", T.FLOAT, ["batch"]),
    ]
    described = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["x"], to=T.FLOAT),
            *nodes,
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=-1),
            helper.make_node("ReduceSum", ["x", "axes"], ["novelty"], keepdims=0),
        ],
        "small",
        [helper.make_tensor_value_info("images", T.UINT8, ["batch", *shape])],
        outputs,
        held + (initializers or []),
    )
    proto = helper.make_model(
        described, opset_imports=[helper.make_opsetid("", opset)], ir_version=8
    )
    facts = {"class_names": list(NAMES)[:n_classes], "img_shape": shape, "threshold": 0.5,
             "novelty_threshold": 12.5}  # fmt: skip
    helper.set_model_props(proto, {key: json.dumps(value) for key, value in facts.items()})
    return proto


def write(folder, content):
    path = folder / "m.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


# -- honest files ----------------------------------------------------------------------


class Images(CalibrationDataReader):
    """Random images, for the quantisation to see."""

    def __init__(self, shape):
        random = np.random.default_rng(0)
        self.rest = iter([{"images": random.integers(0, 256, (8, *shape), dtype=np.uint8)}])

    def get_next(self):
        return next(self.rest, None)


def quantised(path, shape, **options):
    whole, small = path.with_suffix(".whole"), path.with_suffix(".int8.onnx")
    quant_pre_process(path, whole, skip_symbolic_shape=True)
    quantize_static(
        whole, small, Images(shape), quant_format=QuantFormat.QDQ, weight_type=QuantType.QInt8,
        **options,
    )  # fmt: skip
    return small


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Exports of all models: by name, whether they are int8, and images' shape."""
    folder = tmp_path_factory.mktemp("exported")
    files = {}
    for name, shape, options in [
        ("cnn", (10, 12, 3), {"per_channel": True, "activation_type": QuantType.QUInt8}),
        ("fast", (10, 12, 3), {"activation_type": QuantType.QInt8}),
        ("best", (28, 28, 1), {"per_channel": True, "activation_type": QuantType.QInt8}),
    ]:
        images = np.random.default_rng(0).random((200, *shape), np.float32) / 2
        found = novelty.fit(images, np.arange(100), np.arange(100, 200), seed=0)
        path = folder / f"{name}.onnx"
        model = architectures.create(name, n_classes=3, img_shape=shape, seed=0)
        exporting.export(model, path, images=images[:4], labels=np.zeros(4, np.int64),
                      class_names=NAMES, metadata={"threshold": 0.5, "settings": {"seed": 3}},
                      novelty=found)  # fmt: skip
        files[name] = path
        files[f"{name} int8"] = quantised(path, shape, **options)
    return files


EXPORTED = [name + kind for name in ("cnn", "fast", "best") for kind in ("", " int8")]


def stated(values):
    """Names → type and shape, as onnx read them."""
    return {
        value.name: (
            value.type.tensor_type.elem_type,
            tuple(
                size.dim_value if size.HasField("dim_value") else size.dim_param
                for size in value.type.tensor_type.shape.dim
            ),
        )
        for value in values
    }


def assert_same_facts(metadata, proto):
    assert metadata == {entry.key: entry.value for entry in proto.metadata_props}
    assert len(metadata) == len(proto.metadata_props)


def assert_same_message(message, proto, fields):
    """All that was read is what onnx reads, field by field."""
    assert set(proto.DESCRIPTOR.fields_by_number) >= set(fields)
    known = {field.name: field for field in fields.values()}
    names = {descriptor.name for descriptor, _ in proto.ListFields()}
    assert names == {name for name, value in message.items() if value != []}
    for name in names:
        ours, theirs = message[name], getattr(proto, name)
        field = known[name]
        pairs = zip(ours, theirs, strict=True) if field.repeated else [(ours, theirs)]
        for one, other in pairs:
            if field.schema is not None:
                assert_same_message(one, other, field.schema)
            elif isinstance(one, str) and isinstance(other, bytes):
                assert one.encode() == other
            elif field.kind == wire.DATA and not isinstance(other, bytes):
                assert len(one) == 4 * len(other) or name != "float_data"
            else:
                assert one == other or (other != other and math.isnan(one))  # noqa: PLR0124


@pytest.mark.parametrize("name", EXPORTED)
def test_what_apparel_exports_is_read_as_onnx_reads_it(exported, name):
    content, facts = onnx_check.read_model(exported[name])
    assert content == exported[name].read_bytes()
    proto = onnx.load_from_string(content)
    assert_same_facts(facts, proto)
    assert_same_message(wire.parse(content, schema.MODEL, "m"), proto, schema.MODEL)


def assert_shapes_are_the_runtimes(content, monkeypatch):
    """Run a model on two and three images, and compare the type and shape of every tensor."""
    monkeypatch.setattr(graph, "BATCHES", (2, 3))
    proto = onnx.load_from_string(content)
    ((_, (kind, (_, *shape))),) = stated(proto.graph.input).items()
    message = wire.parse(content, schema.MODEL, "m")["graph"]
    followed = graph.follow(message, "images", kind, tuple(shape), len(content))
    names = [name for node in proto.graph.node for name in node.output]
    del proto.graph.output[:]
    for name in names:
        proto.graph.output.append(helper.make_tensor_value_info(name, followed[0][name].kind, None))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    for n, found in zip(graph.BATCHES, followed, strict=True):
        given = session.run(names, {"images": np.ones((n, *shape), np.uint8)})
        assert [found[name].shape for name in names] == [array.shape for array in given]
        for name, array in zip(names, given, strict=True):
            if found[name].values is not None:
                assert array.ravel().tolist() == list(found[name].values)


@pytest.mark.parametrize("name", EXPORTED)
def test_shapes_are_those_that_onnx_runtime_gives(exported, name, monkeypatch):
    assert_shapes_are_the_runtimes(exported[name].read_bytes(), monkeypatch)


def test_the_small_model_is_one_that_is_read(tmp_path, monkeypatch):
    proto = small()
    onnx.checker.check_model(proto, full_check=True)
    _, facts = onnx_check.read_model(write(tmp_path, proto))
    assert_same_facts(facts, proto)
    assert_shapes_are_the_runtimes(proto.SerializeToString(), monkeypatch)


def test_operators_are_those_of_exports_and_some_more(exported):
    found = set()
    for path in exported.values():
        found |= {node.op_type for node in onnx.load(path).graph.node}
    assert found <= set(operators.EXPORTED)
    # Trained models have these as well: a layer in one, a scale of what comes before the softmax.
    assert set(operators.EXPORTED) - found <= {"Gemm", "LeakyRelu"}
    schemas = {s.name: s for s in onnx.defs.get_all_schemas() if s.domain == ""}
    for name, operator in operators.OPERATORS.items():
        assert name in schemas
        assert set(operator.attributes) <= {
            attribute
            for version in onnx.defs.get_all_schemas_with_history()
            if version.name == name and version.domain == ""
            for attribute in version.attributes
        }


def node(kind, *inputs, **attributes):
    return helper.make_node(kind, inputs, ["y"], **attributes)


F32 = np.float32
ROW = np.arange(1, 10, dtype=F32).reshape(1, 9, 1)
# Each operator at least once, on `x`, float32 (n, 8, 9, 1), or `s`, its sizes as int64.
CASES = [
    (node("Add", "x", "a"), {"a": ROW}, 15),
    (node("Sub", "a", "x"), {"a": ROW}, 15),
    (node("Mul", "x", "a"), {"a": np.ones((1, 1, 9, 5), F32)}, 15),
    (node("Div", "x", "a"), {"a": F32(3)}, 15),
    (node("Pow", "x", "a"), {"a": F32(2)}, 15),
    (node("Max", "x", "a", "x"), {"a": ROW}, 15),
    (node("Min", "x"), {}, 15),
    *[
        (node(kind, "x"), {}, 15)
        for kind in ("Abs", "Erf", "Exp", "Identity", "Log", "Neg", "Reciprocal", "Relu",
                     "Sigmoid", "Softplus", "Sqrt", "Tanh")
    ],
    (node("LeakyRelu", "x", alpha=0.3), {}, 16),
    (node("Elu", "x", alpha=0.3), {}, 22),
    (node("Softmax", "x", axis=2), {}, 13),
    (node("LogSoftmax", "x", axis=-2), {}, 13),
    (node("Clip", "x", "", "a"), {"a": F32(2)}, 13),
    (node("Clip", "x", "a"), {"a": F32(2)}, 13),
    (node("BatchNormalization", "x", "a", "a", "a", "a", epsilon=0.1), {"a": np.ones(8, F32)}, 15),
    (node("Conv", "x", "w"), {"w": np.ones((4, 8, 3, 1), F32)}, 15),
    (node("Conv", "x", "w", "b", group=4, strides=[2, 1], pads=[3, 0, 1, 0], dilations=[4, 1]),
     {"w": np.ones((4, 2, 2, 1), F32), "b": np.ones(4, F32)}, 22),
    (node("MaxPool", "x", kernel_shape=[4, 1], strides=[3, 2], pads=[1, 0, 2, 0]), {}, 12),
    (node("AveragePool", "x", kernel_shape=[2, 1], count_include_pad=1), {}, 13),
    (node("AveragePool", "x", kernel_shape=[2, 1], dilations=[3, 1], ceil_mode=0), {}, 19),
    (node("GlobalAveragePool", "x"), {}, 15),
    (node("GlobalMaxPool", "x"), {}, 15),
    (node("MatMul", "x", "w"), {"w": np.ones((1, 7), F32)}, 15),
    (node("MatMul", "w", "x"), {"w": np.ones((1, 1, 5, 9), F32)}, 15),
    (node("Gemm", "f", "w", "c", transB=1, alpha=2.0), {"w": np.ones((7, 72), F32),
                                                        "c": np.ones(7, F32)}, 15),
    (node("Gemm", "w", "v", transA=1), {"w": np.ones((4, 5), F32), "v": np.ones((4, 6), F32)}, 15),
    (node("Cast", "x", to=T.INT32), {}, 15),
    (node("Cast", "s", to=T.INT32), {}, 15),
    (node("Concat", "x", "x", axis=-2), {}, 15),
    (node("Concat", "s", "k", "s", axis=0), {"k": np.array([5, 6])}, 15),
    (node("Constant", value=numpy_helper.from_array(np.array([[3, 4]]))), {}, 15),
    (node("Flatten", "x"), {}, 15),
    (node("Flatten", "x", axis=-3), {}, 15),
    (node("Gather", "x", "k", axis=2), {"k": np.array([0, 8, -1])}, 15),
    (node("Gather", "s", "k"), {"k": np.array(-3)}, 15),
    (node("Identity", "s"), {}, 15),
    (node("Reshape", "x", "k"), {"k": np.array([0, 4, -1, 2])}, 15),
    (node("ReduceSum", "x", "k"), {"k": np.array([-1, 1])}, 15),
    (node("ReduceMean", "x", axes=[1, 3], keepdims=0), {}, 17),
    (node("ReduceMean", "x", "k", keepdims=0), {"k": np.array([2])}, 18),
    (node("ReduceMax", "w", keepdims=0), {"w": np.ones((3, 4), F32)}, 15),
    (node("Shape", "x", start=1, end=-1), {}, 15),
    (node("Slice", "x", "a", "b", "k"), {"a": np.array([2, -4]), "b": np.array([99, -1]),
                                         "k": np.array([1, 2])}, 15),
    (node("Slice", "s", "a", "b", "k", "t"), {"a": np.array([-3]), "b": np.array([2**62]),
                                              "k": np.array([0]), "t": np.array([1])}, 15),
    (node("Slice", "x", "a", "b"), {"a": np.array([0, 2]), "b": np.array([2**40, 3])}, 15),
    (node("Squeeze", "x", "k"), {"k": np.array([-1])}, 15),
    (node("Transpose", "x", perm=[0, 3, 1, 2]), {}, 15),
    (node("Unsqueeze", "x", "k"), {"k": np.array([-1, 1])}, 15),
    (node("Unsqueeze", "s", "k"), {"k": np.array([0])}, 15),
    (node("QuantizeLinear", "x", "a"), {"a": F32(2)}, 13),
    (node("QuantizeLinear", "x", "a", "z", axis=1),
     {"a": np.ones(8, F32), "z": np.zeros(8, np.int8)}, 15),
    (node("DequantizeLinear", "images", "a"), {"a": F32(2)}, 13),
    (node("DequantizeLinear", "w", "a", "z", axis=0),
     {"w": np.ones((3, 4), np.int8), "a": np.ones(3, F32), "z": np.zeros(3, np.int8)}, 21),
]  # fmt: skip


def one_operator(made, held, opset):
    """A model of one operator, as bytes."""
    nodes = [helper.make_node("Cast", ["images"], ["x"], to=T.FLOAT)]
    if "s" in made.input:
        nodes.append(helper.make_node("Shape", ["x"], ["s"]))
    if "f" in made.input:
        nodes.append(helper.make_node("Flatten", ["x"], ["f"]))
    one = helper.make_graph(
        [*nodes, made], "one",
        [helper.make_tensor_value_info("images", T.UINT8, ["batch", *SHAPE])],
        [helper.make_tensor_value_info("y", T.FLOAT, None)], constants(**held),
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(one, opset_imports=opsets, ir_version=8).SerializeToString()


@pytest.mark.parametrize(
    ("made", "held", "opset"), CASES, ids=[f"{k} {case[0].op_type}" for k, case in enumerate(CASES)]
)
def test_each_operator_gives_the_shape_that_onnx_runtime_gives(made, held, opset, monkeypatch):
    assert_shapes_are_the_runtimes(one_operator(made, held, opset), monkeypatch)


@st.composite
def odd_operators(draw):
    """One of the cases with other whole numbers as attributes and constants."""
    numbers = st.integers(-4, 12) | st.sampled_from([-(1 << 62), -(1 << 31), 1 << 31, 1 << 62])

    def perhaps(value):
        return draw(st.just(value) | numbers)

    made, held, opset = draw(st.sampled_from(CASES))
    changed = onnx.NodeProto()
    changed.CopyFrom(made)
    for attribute in changed.attribute:
        if attribute.type == onnx.AttributeProto.INT:
            attribute.i = perhaps(attribute.i)
        attribute.ints[:] = [perhaps(value) for value in attribute.ints]
    arrays = {name: np.asarray(array) for name, array in held.items()}
    for name, array in arrays.items():
        if array.dtype == np.int64:
            arrays[name] = np.vectorize(perhaps, otypes=[np.int64])(array)
    return one_operator(changed, arrays, opset)


@settings(max_examples=300, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(content=odd_operators())
def test_odd_numbers_are_refused_or_give_the_shape_that_onnx_runtime_gives(content):
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(problems.ProblemError):
        assert_shapes_are_the_runtimes(content, patch)


def test_each_operator_has_a_case():
    assert {made.op_type for made, _, _ in CASES} == set(operators.OPERATORS)


# -- no two readings -------------------------------------------------------------------


BASE = small().SerializeToString()


@st.composite
def mutations(draw):
    """The small model with bytes changed, cut, moved or added."""
    content = bytearray(BASE)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content) - 1))
        kind = draw(st.sampled_from(["flip", "byte", "cut", "drop", "insert", "repeat"]))
        length = draw(st.integers(1, 24))
        if kind == "flip":
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte":
            content[at] = draw(st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF, 8, 18]))
        elif kind == "cut":
            del content[max(at, 1) :]
        elif kind == "drop":
            del content[at : at + length]
            content = content or bytearray(b"\0")
        elif kind == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=12))
        else:
            content[at:at] = content[at : at + length]
    return bytes(content)


@settings(max_examples=300, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(content=st.one_of(mutations(), mutations(), mutations(), st.binary(max_size=300)))
def test_a_changed_file_is_refused_or_means_the_same_to_onnx(tmp_path, content):
    try:
        read, facts = onnx_check.read_model(write(tmp_path, content))
    except ModelFileError:
        return
    assert read == content
    proto = onnx.load_from_string(content)
    assert_same_facts(facts, proto)
    assert_same_message(wire.parse(content, schema.MODEL, "m"), proto, schema.MODEL)


def test_every_bit_of_a_file_may_be_wrong(tmp_path):
    """The beginning and the end, where the structure is, bit by bit."""
    accepted = 0
    path = tmp_path / "m.onnx"
    places = [k for k in range(len(BASE)) if k % 3 == 0]
    for at in places:
        content = bytearray(BASE)
        content[at] ^= 1 << at // 3 % 8
        path.write_bytes(content)
        try:
            _, facts = onnx_check.read_model(path)
        except ModelFileError:
            continue
        accepted += 1
        assert_same_facts(facts, onnx.load_from_string(bytes(content)))
    assert 0 < accepted < len(places)


# -- what it costs ---------------------------------------------------------------------


def test_reading_takes_no_longer_than_a_moment(exported):
    for path in exported.values():
        seconds = []
        for _ in range(5):
            start = time.process_time()
            onnx_check.read_model(path)
            seconds.append(time.process_time() - start)
        assert min(seconds) < 0.05  # 0.002 to 0.015 on an idle machine


def test_weights_are_not_walked_through(tmp_path):
    weights = np.ones((100, 1 << 17), np.float32)  # 52 MB
    first = helper.make_node("Identity", ["much"], ["unused"])
    proto = small([*small().graph.node[1:-2], first], constants(much=weights))
    path = write(tmp_path, proto)
    start = time.process_time()
    path.read_bytes()
    reading = time.process_time() - start
    start = time.process_time()
    onnx_check.read_model(path)
    assert time.process_time() - start < 0.1 + 5 * reading


def test_it_needs_the_standard_library_only(tmp_path):
    path = write(tmp_path, small())
    code = (
        "import sys\nbefore = set(sys.modules)\nfrom apparel.predict import onnx_check\n"
        "onnx_check.read_model(sys.argv[1])\n"
        "roots = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(roots - sys.stdlib_module_names - {'apparel'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
    assert done.stderr == ""
