"""Files that must not reach a runtime: each is refused quickly, and touches no other file."""

import io
import itertools
import json
import os
import time
import tracemalloc
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto as T
from onnx import helper

from apparel.core.errors import ModelFileError
from apparel.export.metadata import FORMAT
from apparel.predict import onnx_check
from apparel.predict.onnx_check import description, wire
from tests.predict.test_onnx_file import SHAPE, constants, small, write

F32 = np.float32
CANARY = b"a secret of somebody else"
SECONDS, BYTES = 2, 150 << 20


def refuse(path, match):
    """Check that a file is refused with a message, in little time and memory."""
    opened = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", lambda *a, really=os.open: opened.append(a[0]) or really(*a))
        start = time.process_time()
        with pytest.raises(ModelFileError, match=match) as caught:
            onnx_check.read_model(path)
        assert time.process_time() - start < SECONDS
        tracemalloc.start()  # apart, as it takes time itself
        try:
            with pytest.raises(ModelFileError):
                onnx_check.read_model(path)
            assert tracemalloc.get_traced_memory()[1] < BYTES
        finally:
            tracemalloc.stop()
    assert set(opened) <= {path}
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert len(message) < 600 + len(str(path))
    assert caught.value.exit_code == 4
    return message


# -- bytes -----------------------------------------------------------------------------

WHOLE = small().SerializeToString()


def varint(value):
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number, content):
    """A field of bytes, a message or a number."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def with_field(extra, path=()):
    """The small model with bytes added inside one of its messages.

    Args:
        extra: the bytes.
        path: numbers of the fields that lead to the message; each time the first one.
    """
    return _inside(WHOLE, extra, path)


def _inside(message, extra, path):
    if not path:
        return message + extra
    at = 0
    while True:
        begin = at
        tag, at = wire.read_varint(message, at, len(message))
        value, at = wire.read_varint(message, at, len(message))
        if tag & 7 == 2:
            if tag >> 3 == path[0]:
                inner = _inside(message[at : at + value], extra, path[1:])
                return message[:begin] + field(path[0], inner) + message[at + value :]
            at += value


def nested(depth, *numbers):
    """Messages within messages."""
    content = b""
    for k in range(depth):
        content = field(numbers[k % len(numbers)], content)
    return content


def keras_file():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("config.json", "{}")
    return content.getvalue()


GRAPH, NODE, TENSOR, ATTRIBUTE = (7,), (7, 1), (7, 5), (7, 1, 5)
INPUT_TYPE, INPUT_SIZE = (7, 11, 2), (7, 11, 2, 1, 2, 1)
OF_BYTES = {
    "empty": (b"", "is empty: 0 bytes"),
    "one byte": (WHOLE[:1], "ends within a number"),
    "text": (b"this is no model", "is no ONNX file"),
    "zip": (keras_file(), "is no ONNX file"),
    "zeros": (bytes(1000), "unknown field 0"),
    "half": (WHOLE[: len(WHOLE) // 2], "ends within"),
    "all but a byte": (WHOLE[:-1], "ends within"),
    "something behind": (WHOLE + b"\0", "ends within a number|unknown field 0"),
    "a tag of more bytes than needed": (WHOLE + b"\x8a\x00\x00", "longer than needed"),
    "a length of more bytes than needed": (WHOLE + b"\x12\x80\x00", "longer than needed"),
    "a number of eleven bytes": (WHOLE + b"\x28" + b"\xff" * 10 + b"\x01", "longer than"),
    "a number of 70 bits": (WHOLE + b"\x28" + b"\xff" * 9 + b"\x7f", "or than 64 bits"),
    "a length beyond the end": (WHOLE + b"\x12\xff\xff\xff\xff\x0f", "ends within producer_name"),
    "a negative length": (WHOLE + b"\x12" + b"\xff" * 9 + b"\x01", "ends within producer_name"),
    "a length beyond its message": (with_field(b"\x52\x7f", GRAPH), "ends within doc_string"),
    "a group": (WHOLE + b"\x13\x14", "wire type 3, expected 2"),
    "the end of a group": (WHOLE + b"\x14", "wire type 4"),
    "wire type 6": (WHOLE + b"\x16", "wire type 6"),
    "wire type 7": (WHOLE + b"\x17", "wire type 7"),
    "field 0": (WHOLE + b"\x02\x00", "unknown field 0"),
    "an unknown field": (WHOLE + field(99, b"x"), "unknown field 99"),
    "an unknown field of a graph": (with_field(field(17, b""), GRAPH), "unknown field 17"),
    "an unknown field of a node": (with_field(field(11, b""), NODE), "unknown field 11"),
    "an unknown field of a tensor": (with_field(field(15, b""), TENSOR), "unknown field 15"),
    "an unknown field of an attribute": (with_field(field(16, 1), ATTRIBUTE), "unknown field 16"),
    "text for a number": (WHOLE + field(5, b"1"), "model_version as wire type 2, expected 0"),
    "a number for text": (WHOLE + field(2, 1), "producer_name as wire type 0, expected 2"),
    "packed sizes": (with_field(field(1, b"\x01"), TENSOR), "dims as wire type 2"),
    "a second graph": (WHOLE + field(7, b""), "has graph twice"),
    "a second format": (WHOLE + field(1, 8), "has ir_version twice"),
    "a second value of metadata": (with_field(field(2, b"[]"), (14,)), "has value twice"),
    "second weights": (with_field(field(9, bytes(4)), TENSOR), "has raw_data twice"),
    "a second name of a constant": (with_field(field(8, b"bias"), TENSOR), "has name twice"),
    "a second operator in a node": (with_field(field(4, b"Loop"), NODE), "has op_type twice"),
    "a second type of the input": (with_field(field(1, b""), INPUT_TYPE), "tensor_type twice"),
    "a size with a name": (with_field(field(1, 3), INPUT_SIZE), "both a number and a name"),
    "a type of more than 32 bits": (
        with_field(field(5, field(2, 1 << 32 | 1)), GRAPH), "data_type of more than 32 bits"
    ),
    "a name that is not UTF-8": (WHOLE + field(2, b"\xff\xfe"), "not UTF-8"),
    "subgraphs in subgraphs": (
        with_field(nested(30_000, 1, 5, 6), ATTRIBUTE), "has a subgraph"
    ),
    "types in types": (with_field(nested(30_000, 1, 4), INPUT_TYPE), "has a sequence type"),
    "60,000 fields": (WHOLE + field(8, b"") * 60_000, "more than 50,000 fields"),
    "200,000 empty nodes": (field(7, field(1, b"") * 200_000), "more than 50,000 fields"),
    "five million bytes of text": (WHOLE + field(6, b"x" * 5_000_000), "take more than 4,194,304"),
    "ORT's own format as well": (field(2, b"\0\0ORTM") + WHOLE, "as in another format"),
    "ORT's format in a name": (
        WHOLE[:2] + field(2, b"ORTM") + WHOLE[2:], "bytes 4 to 7 are b'ORTM'"
    ),
    "TensorFlow Lite's as well": (field(2, b"\0\0TFL3") + WHOLE, "as in another format"),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_BYTES)
def test_bytes_that_have_no_meaning_or_two_are_refused(tmp_path, name):
    content, match = OF_BYTES[name]
    refuse(write(tmp_path, content), match)


def test_onnx_runtime_takes_a_file_of_two_formats_for_the_other():
    """Why bytes 4 to 7 are looked at: onnx reads a model, ONNX Runtime something else."""
    content = WHOLE[:2] + field(2, b"ORTM") + WHOLE[2:]
    assert onnx.load_from_string(content).graph == small().graph
    with pytest.raises(Exception, match="ORT model verification failed"):
        onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


# -- other files -----------------------------------------------------------------------


def external(location, *, name="much", declared=True, **more):
    """A tensor whose values are in another file."""
    tensor = helper.make_tensor(name, T.UINT8, [len(CANARY)], bytes(len(CANARY)), raw=True)
    tensor.ClearField("raw_data")
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    if declared:
        tensor.data_location = T.EXTERNAL
    return tensor


def used(tensor):
    """The small model with one more constant, which a node takes."""
    return small([*NODES, helper.make_node("Identity", [tensor.name], ["u"])], [tensor])


def in_constant(tensor):
    return small([*NODES, helper.make_node("Constant", [], ["u"], value=tensor)])


def in_subgraph(tensor):
    output = helper.make_tensor_value_info("v", T.UINT8, None)
    inner = helper.make_graph([helper.make_node("Identity", ["much"], ["v"])], "i", [], [output],
                              [tensor])  # fmt: skip
    branch = helper.make_node("If", ["yes"], ["u"], then_branch=inner, else_branch=inner)
    return small([*NODES, branch], constants(yes=np.array(True)))


def in_function(tensor):
    proto = small()
    made = helper.make_node("Constant", [], ["u"], value=tensor)
    opsets = [helper.make_opsetid("", 15)]
    proto.functions.append(helper.make_function("own", "F", [], ["u"], [made], opsets))
    return proto


def in_sparse(tensor):
    proto = small()
    indices = helper.make_tensor("i", T.INT64, [1], [0])
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [9]))
    return proto


def in_list(tensor):
    proto = in_constant(tensor)
    attribute = proto.graph.node[-3].attribute[0]
    attribute.tensors.append(attribute.t)
    return proto


NODES = small().graph.node[1:-2]
EXTERNAL = "external data, in another file|a subgraph|local functions|sparse init|list of tensors"
ELSEWHERE = {
    "beside the model": lambda folder: used(external("canary")),
    "by an absolute path": lambda folder: used(external(folder / "canary")),
    "above the model": lambda folder: used(external("../canary")),
    "above by a detour": lambda folder: used(external("x/../../canary")),  # CVE-2024-27318
    "by a symbolic link": lambda folder: used(external("link")),  # CVE-2026-34447
    "in a linked folder": lambda folder: used(external("linked/canary")),  # CVE-2026-27489
    "by a hard link": lambda folder: used(external("hard")),  # CVE-2026-34446
    "of no name": lambda folder: used(external("")),
    "undeclared": lambda folder: used(external("canary", declared=False)),
    "declared but not named": lambda folder: used(unnamed()),
    "with other attributes": lambda folder: used(  # CVE-2026-34445
        external("canary", __class__="x", length=1 << 60, offset=-1)
    ),
    "in memory": lambda folder: used(  # a mark by which ONNX Runtime reads any address
        external("*/_ORT_MEM_ADDR_/*", offset=4096, length=25)
    ),
    "in a Constant": lambda folder: in_constant(external("canary")),
    "in memory, in a Constant": lambda folder: in_constant(
        external("*/_ORT_MEM_ADDR_/*", offset=4096, length=25)
    ),
    "in a subgraph": lambda folder: in_subgraph(external("canary")),
    "in a function": lambda folder: in_function(external("canary")),
    "in a sparse constant": lambda folder: in_sparse(external("canary")),
    "in a list": lambda folder: in_list(external("canary")),
}


def unnamed():
    tensor = helper.make_tensor("much", T.FLOAT, [1], [1.0])
    tensor.data_location = T.EXTERNAL
    return tensor


@pytest.mark.parametrize("name", ELSEWHERE)
def test_other_files_are_not_read(tmp_path, name):
    canary = tmp_path / "canary"
    canary.write_bytes(CANARY)
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "canary").write_bytes(CANARY)
    (folder / "link").symlink_to(canary)
    (folder / "linked").symlink_to(tmp_path)
    (folder / "hard").hardlink_to(canary)
    before = canary.stat()
    refuse(write(folder, ELSEWHERE[name](tmp_path)), EXTERNAL)
    assert canary.read_bytes() == CANARY
    after = canary.stat()
    assert (after.st_mtime_ns, after.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)


# -- constants -------------------------------------------------------------------------


def tensor(dims, kind=T.FLOAT, **fields):
    found = T(name="much", data_type=kind, dims=dims)
    for key, value in fields.items():
        if isinstance(value, bytes):
            setattr(found, key, value)
        else:
            getattr(found, key).extend(value)
    return found


def segmented():
    found = tensor([1], raw_data=bytes(4))
    found.segment.begin, found.segment.end = 0, 1 << 40
    return found


TENSORS = {
    "more values than bytes": (tensor([5], raw_data=bytes(16)), "16 bytes of values"),
    "more bytes than values": (tensor([3], raw_data=bytes(16)), "expects 12"),
    "no values": (tensor([3]), r"has its values as \[\]"),
    "huge": (tensor([1 << 20, 1 << 20], raw_data=bytes(4)), "product of at most"),
    "overflowing to 0": (tensor([1 << 32, 1 << 32], raw_data=b""), "product of at most"),
    "overflowing to 4": (tensor([(1 << 62) + 1, 4], raw_data=bytes(16)), "product of at most"),
    "negative": (tensor([-1], raw_data=bytes(4)), "sizes of at least 1"),
    "twice negative": (tensor([-2, -2], raw_data=bytes(16)), "sizes of at least 1"),
    "of size 0": (tensor([0, 1 << 40], raw_data=b""), "sizes of at least 1"),
    "of nine axes": (tensor([1] * 9, raw_data=bytes(4)), "at most 8 sizes"),
    "of 10,000 axes": (tensor([1] * 10_000, raw_data=bytes(4)), "at most 8 sizes"),
    "in two forms": (tensor([1], raw_data=bytes(4), float_data=[1]), "has its values as"),
    "of another form": (tensor([1], T.INT64, int32_data=[1]), "has its values as"),
    "too few in the slow form": (tensor([3], T.INT64, int64_data=[1, 2]), "has 2 values"),
    "too large for the type": (tensor([1], T.UINT8, int32_data=[256]), "256, which is no uint8"),
    "too many in the slow form": (
        tensor([70_000], T.INT32, int32_data=[1] * 70_000), "in the slow form, at most 65,536"
    ),
    "half a float": (tensor([1], float_data=[1.0]), None),
    "of strings": (tensor([1], T.STRING, string_data=[b"x"]), "has string data"),
    "of doubles": (tensor([1], T.DOUBLE, double_data=[1.0]), "has double_data"),
    "of raw doubles": (tensor([1], T.DOUBLE, raw_data=bytes(8)), "is of type 11"),
    "of 4 bits": (tensor([3], T.INT4, raw_data=bytes(2)), "is of type 22"),
    "of no type": (tensor([1], 0, raw_data=bytes(4)), "is of type 0"),
    "of an unknown type": (tensor([1], 1000, raw_data=bytes(4)), "is of type 1000"),
    "a segment": (segmented(), "segment"),
    "named as another": (T(name="bias", data_type=1, dims=[2], raw_data=bytes(8)), "two constants"),
    "named as the input": (
        T(name="images", data_type=1, dims=[2], raw_data=bytes(8)), "a constant as well"
    ),
    "without a name": (T(data_type=1, dims=[2], raw_data=bytes(8)), "nameless"),
}  # fmt: skip
del TENSORS["half a float"]


@pytest.mark.parametrize("name", TENSORS)
def test_constants_that_do_not_fill_their_shape_are_refused(tmp_path, name):
    held, match = TENSORS[name]
    refuse(write(tmp_path, small(initializers=[held])), match)
    if held.name == "much" and name not in {"of strings", "of doubles"}:
        refuse(write(tmp_path, in_constant(held)), match)


# -- graphs ----------------------------------------------------------------------------


def op(kind, *inputs, output="u", **attributes):
    return helper.make_node(kind, inputs, [output], **attributes)


def beside(*nodes, opset=15, **held):
    """The small model with more nodes, which its outputs do not need."""
    return small([*NODES, *nodes], constants(**held), opset=opset)


def chain(n, kind, **held):
    """Nodes that take the output of the one before twice each."""
    names = ["x", *(f"u{k}" for k in range(n))]
    attributes = {"axis": 1} if kind == "Concat" else {}
    return beside(
        *(op(kind, a, a, output=b, **attributes) for a, b in itertools.pairwise(names)),
        **held,
    )


def loop():
    state = [helper.make_tensor_value_info(n, k, []) for n, k in [("i", T.INT64), ("c", T.BOOL)]]
    body = helper.make_graph([op("Identity", "c", output="d")], "b", state,
                             [helper.make_tensor_value_info("d", T.BOOL, [])])  # fmt: skip
    return beside(op("Loop", "n", "yes", body=body), n=np.array(2**62), yes=np.array(True))


def scan():
    values = [helper.make_tensor_value_info(n, T.FLOAT, None) for n in "ab"]
    body = helper.make_graph([op("Identity", "a", output="b")], "b", values[:1], values[1:])
    return beside(op("Scan", "x", body=body, num_scan_inputs=1))


def changed(change, **options):
    proto = small(**options)
    change(proto)
    return proto


def attribute_changed(change):
    return changed(lambda proto: change(proto.graph.node[2].attribute))


W = np.ones((4, 8, 3, 1), F32)
MANY = np.ones((4000, 1), F32)
GRAPHS = {
    # Control flow, and what is larger than it looks.
    "If": (in_subgraph(tensor([1], T.UINT8, raw_data=b"x")), "has a subgraph"),
    "Loop": (loop(), "has a subgraph"),
    "Scan": (scan(), "has a subgraph"),
    "a function": (in_function(tensor([1], T.UINT8, raw_data=b"x")), "has local functions"),
    "training": (changed(lambda p: p.training_info.add()), "has training information"),
    "devices": (changed(lambda p: p.configuration.add()), "has device configurations"),
    "ConstantOfShape": (beside(op("ConstantOfShape", "k"), k=np.array([1 << 40])), "ConstantOf"),
    "Expand": (beside(op("Expand", "x", "k"), k=np.array([1 << 40, 1, 1, 1])), "'Expand'"),
    "Tile": (beside(op("Tile", "x", "k"), k=np.array([1 << 20] * 4)), "'Tile'"),
    "Range": (beside(op("Range", "a", "b", "c"), a=np.array(0), b=np.array(1 << 40),
                     c=np.array(1)), "'Range'"),
    "Resize": (beside(op("Resize", "x", "", "k"), k=np.array([1, 1e5, 1e5, 1], F32)), "'Resize'"),
    "Pad": (beside(op("Pad", "x", "k"), k=np.array([1 << 30] * 8)), "'Pad'"),
    "OneHot": (beside(op("OneHot", "k", "d", "v"), k=np.array([1]), d=np.array(1 << 40),
                      v=np.array([0, 1])), "'OneHot'"),
    "EyeLike": (beside(op("EyeLike", "x")), "'EyeLike'"),
    "RandomNormal": (beside(op("RandomNormal", shape=[1 << 30])), "'RandomNormal'"),
    "Col2Im": (beside(op("Col2Im", "x", "k", "k"), k=np.array([1, 1])), "'Col2Im'"),
    "MaxUnpool": (beside(op("MaxUnpool", "x", "k", kernel_shape=[1]), k=np.array(1)), "MaxUnpool"),
    "NonZero": (beside(op("NonZero", "x")), "'NonZero'"),
    "StringSplit": (beside(op("StringSplit", "x")), "'StringSplit'"),
    # Other operator sets.
    "com.microsoft": (beside(op("FusedConv", "x", "x", domain="com.microsoft")), "com.microsoft"),
    "a known name of another set": (beside(op("Relu", "x", domain="evil")), "'Relu' of 'evil'"),
    "ai.onnx.ml": (beside(op("ArrayFeatureExtractor", "x", "k", domain="ai.onnx.ml"),
                          k=np.array([-10])), "ArrayFeatureExtractor"),
    "SVMClassifier": (beside(op("SVMClassifier", "x", domain="ai.onnx.ml")), "SVMClassifier"),
    "EPContext": (beside(op("EPContext", domain="com.microsoft", ep_cache_context="../canary",
                            embed_mode=0)), "EPContext"),
    "an overload": (changed(lambda p: setattr(p.graph.node[0], "overload", "x")), "an overload"),
    # Memory and time.
    "an outer product": (beside(op("MatMul", "a", "b"), a=MANY, b=MANY.T), "bytes at once"),
    "a product by broadcasting": (beside(op("Add", "a", "b"), a=MANY, b=MANY.T), "bytes at once"),
    "a product with the images": (
        beside(op("Mul", "x", "b"), b=np.ones((1, 1, 1, 40_000), F32)), "bytes an image"),
    "doubled again and again": (chain(60, "Concat"), "bytes an image|values an image"),
    "4,000 additions of images": (chain(4000, "Add"), "bytes an image"),
    "much work": (
        beside(op("Conv", "x", "k", pads=[300] * 4), k=np.ones((1, 8, 512, 512), F32)),
        "multiplications an image"),
    "pads": (beside(op("Conv", "x", "k", dilations=[1024, 1024], pads=[1023] * 4),
                    k=np.ones((4, 8, 2, 2), F32)), "bytes an image"),
    "wide pads": (beside(op("Conv", "x", "k", pads=[1 << 40] * 4), k=W), "pads smaller than"),
    # Sizes that do not fit, at which kernels or shape inference read or write out of bounds.
    "a longer kernel_shape": (
        beside(op("Conv", "x", "k", kernel_shape=[3, 1, 1, 1]), k=W), "kernel_shape"),
    "filters of more axes": (  # microsoft/onnxruntime#28731
        beside(op("Conv", "x", "k"), k=np.ones((4, 8, 1, 1, 1), F32)), "expected four sizes"),
    "filters of fewer axes": (beside(op("Conv", "x", "k"), k=W[0, 0]), "expected four sizes"),
    "fewer dilations": (beside(op("Conv", "x", "k", dilations=[1]), k=W), "two of each"),
    "more strides": (beside(op("Conv", "x", "k", strides=[1] * 9), k=W), "two of each"),
    "two pads": (beside(op("Conv", "x", "k", pads=[0, 0]), k=W), "and four pads"),
    "negative pads": (beside(op("Conv", "x", "k", pads=[-1] * 4), k=W), "pads smaller"),
    "strides of 0": (beside(op("MaxPool", "x", kernel_shape=[1, 1], strides=[0, 1])), "from 1"),
    "a kernel of 0": (beside(op("MaxPool", "x", kernel_shape=[0, 1])), "from 1 to 1024"),
    "no kernel": (beside(op("MaxPool", "x")), "two of each"),
    "a kernel larger than its plane": (
        beside(op("AveragePool", "x", kernel_shape=[99, 1])), "a window that fits"),
    "no groups": (beside(op("Conv", "x", "k", group=0), k=W), "numbers of channels"),
    "groups that do not divide the filters": (
        beside(op("Conv", "x", "k", group=4), k=np.ones((6, 2, 1, 1), F32)), "numbers of channels"),
    "negative groups": (beside(op("Conv", "x", "k", group=-1), k=W), "numbers of channels"),
    "channels that do not fit": (beside(op("Conv", "x", "k"), k=W[:, :5]), "numbers of channels"),
    "fewer biases": (
        beside(op("Conv", "x", "k", "b"), k=W, b=np.ones(2, F32)), "numbers of channels"),
    "other padding": (beside(op("Conv", "x", "k", auto_pad="SAME_UPPER"), k=W), "auto_pad"),
    "rounding up": (beside(op("MaxPool", "x", kernel_shape=[2, 1], ceil_mode=1)), "ceil_mode"),
    "fewer means": (beside(op("BatchNormalization", "x", "k", "k", "k", "k"), k=np.ones(3, F32)),
                    r"expected \(8,\)"),
    "fewer scales": (beside(op("DequantizeLinear", "images", "k", axis=1), k=np.ones(7, F32)),
                     "each place of an axis"),
    "zeros other than scales": (
        beside(op("QuantizeLinear", "x", "k", "z", axis=1), k=np.ones(8, F32),
               z=np.zeros(3, np.uint8)), "each place of an axis"),
    "blocks": (beside(op("DequantizeLinear", "images", "k", block_size=2), k=np.ones(8, F32)),
               "block_size"),
    "a place out of range": (beside(op("Gather", "x", "k", axis=1), k=np.array([8])), "axis 8"),
    "a negative place": (beside(op("Gather", "x", "k", axis=1), k=np.array([-9])), "axis -9"),
    "places of images": (
        beside(op("Cast", "x", output="k", to=T.INT64), op("Gather", "x", "k", axis=1)),
        "that only a run could tell"),
    "an axis out of range": (beside(op("Softmax", "x", axis=4)), "axis 4 for 4 axes"),
    "an axis of a scalar": (beside(op("Softmax", "k", axis=0), k=F32(1)), "axis 0 for 0 axes"),
    "neither true nor false": (beside(op("ReduceMax", "x", keepdims=3)), "expected 0 or 1"),
    "axes twice": (beside(op("ReduceSum", "x", "k"), k=np.array([1, -3])), "each once"),
    "order twice": (beside(op("Transpose", "x", perm=[0, 1, 1, 2])), "each axis once"),
    "order out of range": (beside(op("Transpose", "x", perm=[0, 1, 2, 4])), "each axis once"),
    "a shape with other values": (
        beside(op("Reshape", "x", "k"), k=np.array([-1, 5])), "as many values"),
    "a shape with two rests": (
        beside(op("Reshape", "x", "k"), k=np.array([-1, -1])), "at most one -1"),
    "a negative shape": (beside(op("Reshape", "x", "k"), k=np.array([-2, 36])), "at most one -1"),
    "a huge shape": (beside(op("Reshape", "x", "k"), k=np.array([2**62, 2**62])), "as many values"),
    "zeros in a shape": (
        beside(op("Reshape", "x", "k", allowzero=1), k=np.array([0, 72])), "allowzero"),
    "a shape of pixels": (
        beside(op("Cast", "x", output="k", to=T.INT64), op("Reshape", "x", "k")), "only a run"),
    "squeezed more than 1": (beside(op("Squeeze", "x", "k"), k=np.array([1])), "expected ones"),
    "an empty slice": (
        beside(op("Slice", "x", "k", "k", "a"), k=np.array([1]), a=np.array([1])), "of at least 1"),
    "steps": (beside(op("Slice", "x", "a", "b", "b", "s"), a=np.array([0]), b=np.array([1]),
                     s=np.array([2])), "steps of 1"),
    "steps of 0": (beside(op("Slice", "x", "a", "b", "b", "s"), a=np.array([0]), b=np.array([1]),
                          s=np.array([0])), "steps of 1"),
    "matrices that do not fit": (beside(op("MatMul", "x", "k"), k=MANY[:5]), "sides that fit"),
    "vectors": (beside(op("MatMul", "k", "k"), k=np.ones(3, F32)), "sides that fit"),
    "planes of three axes": (beside(op("GlobalMaxPool", "k"), k=np.ones((1, 1, 1), F32)), "four"),
    "bounds that are many": (beside(op("Clip", "x", "k"), k=np.ones(3, F32)), "a single value"),
    "two types": (beside(op("Add", "x", "k"), k=np.ones(1, np.int32)), "one type"),
    "a type that is none": (beside(op("Cast", "x", to=T.STRING)), "to = 8"),
    # Images that are mixed with each other.
    "images as an axis": (beside(op("Transpose", "x", perm=[1, 0, 2, 3])), "the first size"),
    "images times images": (
        beside(op("Flatten", "x", output="g2"), op("Transpose", "g2", output="t", perm=[1, 0]),
               op("MatMul", "g2", "t")), "the first size"),
    "as many images as fit": (
        beside(op("Add", "x", "k"), k=np.ones((1009, 1, 1, 1), F32)), "sizes that fit"),
    # Nodes that are none.
    "no such input": (beside(op("Relu", "nothing")), "'nothing', which nothing before it gives"),
    "a circle": (beside(op("Relu", "v"), op("Relu", "u", output="v")), "which nothing before"),
    "itself": (beside(op("Relu", "u")), "which nothing before"),
    "an output twice": (beside(op("Relu", "x"), op("Abs", "x")), "which is there already"),
    "an output over the input": (beside(op("Relu", "x", output="images")), "is there already"),
    "an output over a constant": (beside(op("Relu", "x", output="bias")), "is there already"),
    "no output": (beside(helper.make_node("Relu", ["x"], [])), "0 outputs"),
    "two outputs": (beside(helper.make_node("MaxPool", ["x"], ["a", "b"], kernel_shape=[1, 1])),
                    "2 outputs"),
    "a nameless output": (beside(op("Relu", "x", output="")), "1 outputs"),
    "too many inputs": (beside(op("Relu", "x", "x")), "has 2 inputs"),
    "an input left out": (beside(op("Add", "x", "")), "lacks input 1"),
    "an unknown attribute": (beside(op("Relu", "x", mode="x")), "unknown attribute 'mode'"),
    "an attribute of another type": (beside(op("Softmax", "x", axis=1.5)), "attribute 'axis'"),
    "an attribute twice": (attribute_changed(lambda a: a.append(a[0])), "or has it twice"),
    "an attribute with two values": (
        attribute_changed(lambda a: setattr(a[0], "f", 0.0)), "without its value"),
    "an attribute without value": (
        attribute_changed(lambda a: a[0].ClearField("ints")), "one|without|kernel_shape"),
    "an attribute of no type": (attribute_changed(lambda a: a[0].ClearField("type")), "unknown"),
    "an attribute of a function": (
        attribute_changed(lambda a: setattr(a[0], "ref_attr_name", "x")), "a reference to"),
    "some images alone": (
        beside(op("Slice", "x", "low", "high", "first"), low=np.array([0]), high=np.array([5]),
               first=np.array([0])), "for any number of images, expected one that grows"),
    "the first image": (beside(op("Gather", "x", "low"), low=np.array(0)), "expected one that"),
    "a sum of all images": (
        beside(op("ReduceSum", "x", "first", keepdims=1), first=np.array([0])),
        "for any number of images"),
    "products of images with each other": (
        beside(op("Flatten", "x", output="v"), op("Gemm", "v", "v", transA=1)),
        "for any number of images"),
    "a share among all images": (beside(op("Softmax", "x", axis=0)), "along which the images are"),
    "a share among all images, from behind": (
        beside(op("LogSoftmax", "x", axis=-4)), "along which the images are"),
    "images behind images": (beside(op("Concat", "x", "x", axis=0)), "along which the images are"),
    "the number of images": (
        beside(op("Shape", "x", output="v"), op("Cast", "v", to=T.FLOAT)),
        "for any number of images"),
    "a Constant of nothing": (beside(op("Constant")), "has no value"),
    "a Constant of a list": (beside(op("Constant", value_ints=[1])), "unknown attribute"),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_that_apparel_does_not_write_are_refused(tmp_path, name):
    proto, match = GRAPHS[name]
    message = refuse(write(tmp_path, proto), match)
    assert "apparel export RUN --format onnx" in message


# -- versions, inputs, outputs, metadata -------------------------------------------------


def opsets(*pairs):
    def change(proto):
        del proto.opset_import[:]
        proto.opset_import.extend(helper.make_opsetid(*pair) for pair in pairs)

    return changed(change)


def told(key, value):
    """The small model with other metadata; None takes an entry away."""

    def change(proto):
        held = {entry.key: entry.value for entry in proto.metadata_props} | {key: value}
        del proto.metadata_props[:]
        helper.set_model_props(proto, {k: v for k, v in held.items() if v is not None})

    return changed(change)


def of_shape(shape):
    return changed(
        lambda p: p.metadata_props.__getitem__(1).__setattr__("value", json.dumps(shape)),
        shape=shape,
    )


def size(value, k, **change):
    dimension = value.type.tensor_type.shape.dim[k]
    dimension.Clear()
    for key, number in change.items():
        setattr(dimension, key, number)


def stating(name, kind, shape):
    info = helper.make_tensor_value_info(name, kind, shape)
    return changed(lambda p: p.graph.value_info.append(info))


UPDATE = r"pip install -U apparel onnxruntime"
DESCRIPTIONS = {
    "operator set 12": (opsets(("", 12)), "operator set 12 .* expected 13 to 26"),
    "operator set 27": (opsets(("", 27)), f"operator set 27 .*{UPDATE}"),
    "operator set of 40 bits": (opsets(("", 1 << 40)), "twice, or no version"),
    "operator set -1": (opsets(("", -1)), "twice, or no version"),
    "no operator set": (opsets(), "does not say which operator set"),
    "another set only": (opsets(("ai.onnx.ml", 2)), "does not say which operator set"),
    "two operator sets": (opsets(("", 15), ("", 13)), "operator set '' twice"),
    "two names of one set": (opsets(("", 15), ("ai.onnx", 13)), "operator set '' twice"),
    "a huge other set": (opsets(("", 15), ("com.microsoft", 1 << 32)), "or no version"),
    "a newer format": (changed(lambda p: setattr(p, "ir_version", 14)), f"format 14.*{UPDATE}"),
    "an old format": (changed(lambda p: setattr(p, "ir_version", 3)), "in format 3, expected"),
    "a negative format": (changed(lambda p: setattr(p, "ir_version", -1)), "in format -1"),
    "no format": (changed(lambda p: p.ClearField("ir_version")), "does not say"),
    "no graph": (changed(lambda p: p.ClearField("graph")), "has no graph"),
    "no input": (changed(lambda p: p.graph.input.pop()), "takes nothing, but its description says"),
    "two inputs": (
        changed(lambda p: p.graph.input.append(helper.make_tensor_value_info("z", 1, ["b"]))),
        "takes .*'z' float.*but its description says"),
    "an input twice": (changed(lambda p: p.graph.input.append(p.graph.input[0])), "twice among"),
    "another input": (changed(lambda p: setattr(p.graph.input[0], "name", "x0")), "takes 'x0' "),
    "floats as images": (
        changed(lambda p: setattr(p.graph.input[0].type.tensor_type, "elem_type", 1)),
        "takes 'images' float"),
    "one image at a time": (
        changed(lambda p: size(p.graph.input[0], 0, dim_value=1)), "for any number of images"),
    "free height": (changed(lambda p: size(p.graph.input[0], 1, dim_param="h")), "takes 'images"),
    "negative height": (changed(lambda p: size(p.graph.input[0], 1, dim_value=-8)), "size of -8"),
    "no shape": (changed(lambda p: p.graph.input[0].type.tensor_type.ClearField("shape")),
                 "states no shape"),
    "no type": (changed(lambda p: p.graph.input[0].ClearField("type")), "states no shape"),
    "a sequence": (changed(lambda p: p.graph.input[0].type.sequence_type.elem_type.SetInParent()),
                   "a sequence type"),
    "images of 1,025 pixels": (of_shape((1025, 8, 1)), "at most 1,024 pixels a side"),
    "images of nothing": (of_shape((0, 8, 1)), "size of 0|at most 1,024 pixels"),
    "images of two channels": (of_shape((8, 9, 2)), "but its description says 2 channels"),
    "no output": (changed(lambda p: p.graph.output.pop()), "gives 'probabilities' .*description"),
    "another output": (changed(lambda p: setattr(p.graph.output[0], "name", "p")), "gives 'p' "),
    "a third output": (
        changed(lambda p: p.graph.output.append(helper.make_tensor_value_info("x", 1, ["b"]))),
        "gives .*but its description says"),
    "an output twice": (changed(lambda p: p.graph.output.append(p.graph.output[0])), "twice"),
    "whole numbers": (
        changed(lambda p: setattr(p.graph.output[0].type.tensor_type, "elem_type", 7)), "int64"),
    "more classes than named": (small(n_classes=3), None),
    "fewer names": (told("class_names", '["a", "b"]'), "but its description says"),
    "more names": (told("class_names", '["a", "b", "c", "d"]'), "but its description says"),
    "another number of classes": (
        changed(lambda p: [size(p.graph.output[0], 1, dim_value=2),
                           setattr(p.metadata_props[0], "value", '["a", "b"]')]),
        "it says to give probabilities"),
    "probabilities from a constant": (
        changed(lambda p: [p.graph.node.pop(-2), p.graph.initializer.extend(
            constants(probabilities=np.ones((1009, 3), F32)))]), "it says to give probabilities"),
    "an output that nothing gives": (changed(lambda p: p.graph.node.pop()), "gives None"),
    "another shape stated": (stating("x", T.FLOAT, ["b", 8, 9, 2]), "it states 'x' to be"),
    "a fixed number stated": (stating("x", T.FLOAT, [1, 8, 9, 1]), "it states 'x' to be"),
    "fewer axes stated": (stating("x", T.FLOAT, ["b", 8]), "it states 'x' to be"),
    "another type stated": (stating("x", T.INT8, ["b", 8, 9, 1]), "it states 'x' to be int8"),
    "a huge size stated": (stating("x", T.FLOAT, ["b", 1 << 60, 9, 1]), "expected from 1 to"),
    "no class names": (told("class_names", None), "not one that apparel wrote: its class_names"),
    "names that are no JSON": (told("class_names", "ant, bee"), "expected JSON"),
    "a number of names": (told("class_names", "3"), "expected a list of"),
    "names that are numbers": (told("class_names", "[1, 2, 3]"), "expected a list of"),
    "no names": (told("class_names", "[]"), "expected a list of"),
    "10,001 names": (told("class_names", json.dumps(["a"] * 10_001)), "expected a list of 1 to"),
    "a long name": (told("class_names", json.dumps(["a" * 1001, "b", "c"])), "at most 1,000"),
    "an empty name": (told("class_names", '["a", "", "c"]'), "expected a name that can be shown"),
    "a name of spaces": (told("class_names", '["a", " ", "c"]'), "expected a name that can"),
    **{f"a name with {letter!a}": (told("class_names", json.dumps(["a", f"b{letter}", "c"])),
                                   "expected a name that can be shown")
       for letter in "\n\x1b\x00\x85\u2028\ud800"},
    "a name twice": (told("class_names", '["a", "b", "a"]'), "expected each once"),
    "facts of a later form": (told("apparel", '{"version": "9", "format": 2}'), "in form 2"),
    "a million lists": (told("class_names", "[" + "[]," * 10**6 + "[]]"), "3,000,004 characters"),
    "deep lists": (told("class_names", "[" * 500_000), "expected JSON"),
    "a number of 100,000 digits": (told("img_shape", "[8, 9, " + "1" * 100_000 + "]"), "img_shape"),
    "no image shape": (told("img_shape", None), "img_shape is None"),
    "two sizes": (told("img_shape", "[8, 9]"), "img_shape"),
    "true as a size": (told("img_shape", "[8, 9, true]"), "img_shape"),
    "fractions of pixels": (told("img_shape", "[8.0, 9, 1]"), "img_shape"),
    "turned images": (told("img_shape", "[9, 8, 1]"), "but its description says"),
    **{f"a threshold of {value}": (told("threshold", value), "threshold is|expected JSON")
       for value in ("1.5", "-1", "NaN", "Infinity", "true", '"0.5"', "[1]", "x", "")},
    **{f"a novelty threshold of {value}": (told("novelty_threshold", value), "novelty_threshold is")
       for value in ("null", "0", "-1", "NaN", "Infinity", "true", '"1"', "x",
                     "1e-60", "1e39", "1" + "0" * 400)},
    "novelty without threshold": (told("novelty_threshold", None), "but its description says"),
    "five million letters": (told("note", "x" * 5_000_000), "take more than 4,194,304 bytes"),
    "metadata twice": (
        changed(lambda p: p.metadata_props.add(key="threshold", value="1")), "'threshold' twice"),
    "metadata without value": (changed(lambda p: p.metadata_props.add(key="x")), "without name or"),
    "metadata without name": (changed(lambda p: p.metadata_props.add(value="x")), "without name"),
    "settings for ONNX Runtime": (
        told("ort_config", '{"session_options": {"optimized_model_filepath": "canary"}}'),
        "a command to a runtime"),
}  # fmt: skip
del DESCRIPTIONS["more classes than named"]


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_files_that_are_not_what_they_say_are_refused(tmp_path, name):
    proto, match = DESCRIPTIONS[name]
    refuse(write(tmp_path, proto), match)


def test_what_a_message_shows_of_a_file_is_short_and_harmless(tmp_path):
    proto = beside(op("Evil\n\x1b[2J" + "x" * 5000, "x"))
    message = refuse(write(tmp_path, proto), r"'Evil\\n\\x1b\[2Jx+\.\.\.'")
    assert "\x1b" not in message


# -- files -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["missing.onnx", "missing.keras", "x" * 300 + ".onnx", "a\0b"])
def test_a_missing_file_is_named(tmp_path, name):
    refuse(tmp_path / name, "there is no model file|cannot be read")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "link.onnx").symlink_to(tmp_path / "pipe.onnx")
    (tmp_path / "circle.onnx").symlink_to(tmp_path / "circle.onnx")
    for path in (tmp_path, tmp_path / "pipe.onnx", tmp_path / "link.onnx"):
        refuse(path, "there is no model file .* it is a folder, pipe or device")
    for device in ("/dev/zero", "/dev/null", "/dev/tty"):
        with pytest.raises(ModelFileError, match="it is a folder, pipe or device"):
            onnx_check.read_model(device)
    refuse(tmp_path / "circle.onnx", "cannot be read")


def test_a_pipe_that_takes_the_files_place_is_not_waited_for(tmp_path, monkeypatch):
    path = write(tmp_path, WHOLE)
    real = os.open

    def replaced(name, flags):
        path.unlink()
        os.mkfifo(path)
        return real(name, flags)

    monkeypatch.setattr(os, "open", replaced)
    with pytest.raises(ModelFileError, match="it was replaced"):
        onnx_check.read_model(path)


def test_a_file_over_the_limit_is_not_read(tmp_path):
    path = write(tmp_path, WHOLE)
    os.truncate(path, onnx_check.MAX_FILE + 1)
    refuse(path, "has 536,870,913 bytes, and models of at most 536,870,912 are opened")


def test_a_file_that_grows_is_not_read_on(tmp_path, monkeypatch):
    path = write(tmp_path, WHOLE)
    monkeypatch.setattr(onnx_check, "MAX_FILE", len(WHOLE))
    assert onnx_check.read_model(path)[0] == WHOLE
    was = path.stat()
    monkeypatch.setattr(os, "fstat", lambda _: was)
    for content in (WHOLE + WHOLE, WHOLE[:-1], b""):
        path.write_bytes(content)
        refuse(path, "changed while it was read")


def test_a_keras_file_is_refused_with_the_command_that_converts_it(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(keras_file())
    refuse(path, r"is a Keras file, .*apparel export RUN --format onnx")


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = write(tmp_path, WHOLE)

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(ModelFileError, match=r"cannot be read .*Permission denied"):
        onnx_check.read_model(path)


def test_a_file_of_a_later_form_asks_for_an_update(tmp_path):
    proto = told("apparel", '{"version": "9", "format": 2}')
    message = refuse(write(tmp_path, proto), "in form 2")
    assert message.endswith("Update: pip install -U apparel")


def test_exports_have_the_form_that_is_read():
    assert FORMAT == description.MAX_FORMAT


def test_the_small_model_itself_is_read(tmp_path):
    """So that what is refused here is refused for what was done to it."""
    _, metadata = onnx_check.read_model(write(tmp_path, WHOLE))
    assert metadata["img_shape"] == json.dumps(SHAPE)
    for proto in (beside(op("Relu", "x")), in_constant(tensor([3], T.UINT8, raw_data=b"abc"))):
        onnx_check.read_model(write(tmp_path, proto))
