"""Files that must not reach a runtime: each is refused quickly, and touches no other file."""

import itertools
import json
import os
import time
import tracemalloc

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper

from apparel.core.errors import ModelFileError
from apparel.predict.model_file import read_model
from apparel.predict.predictor import Predictor
from tests.made_model import made_proto
from tests.made_model import node as op

F32 = np.float32
CANARY = b"a secret of another user"
SECONDS, BYTES = 2, 150 << 20


def small(*nodes, shape=(8, 9, 1), **held):
    """A small model like apparel's, with more nodes, which its outputs do not need."""
    return made_proto(shape, class_names=("ant", "bee", "cat"), threshold=0.5,
                      novelty_threshold=12.5, beside=nodes, held=held)  # fmt: skip


def changed(change, *nodes):
    proto = small(*nodes)
    change(proto)
    return proto


def write(folder, content):
    path = folder / "m.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


def refuse(path, match):
    """Check that a file is refused with a message."""
    opened = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", lambda *a, really=os.open: opened.append(a[0]) or really(*a))
        with pytest.raises(ModelFileError, match=match) as caught:
            read_model(path)
    assert opened == [path]
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert len(message) < 600 + len(str(path))
    assert caught.value.exit_code == 4
    return message


def refuse_cheaply(path, match):
    """Check likewise, and that it takes little time and memory."""
    start = time.process_time()
    refuse(path, match)
    assert time.process_time() - start < SECONDS
    tracemalloc.start()  # apart, as it takes time itself
    try:
        refuse(path, match)
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()


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


def in_graph(extra):
    """The small model with bytes added to its graph."""
    proto = small()
    graph = proto.graph.SerializeToString()
    proto.ClearField("graph")
    return field(7, graph + extra) + proto.SerializeToString()


TWO_FORMATS = WHOLE[:2] + field(2, b"ORTM") + WHOLE[2:]
TWO_SIZES = field(1, field(1, 3) + field(2, b"n"))
BYTES_OF_NO_MEANING_OR_TWO = {
    "text": (b"this is no model", "is no ONNX file"),
    "all but a byte": (WHOLE[:-1], "ends within"),
    "something behind": (WHOLE + b"\x28\x80", "ends within a number"),
    "a length of more bytes than needed": (WHOLE + b"\x12\x80\x00", "longer than needed"),
    "a number of 70 bits": (WHOLE + b"\x28" + b"\xff" * 9 + b"\x7f", "or than 64 bits"),
    "a length beyond its message": (in_graph(b"\x52\x10"), "ends within doc_string"),
    "a group": (WHOLE + b"\x13\x14", "wire type 3, expected 2"),
    "a cut float": (in_graph(field(1, field(5, b"\x15\0"))), "ends within f"),
    "an unknown field": (in_graph(field(17, b"")), "unknown field 17"),
    "two operators of a node": (
        in_graph(field(1, field(4, b"Relu") + field(4, b"Loop"))), "has op_type twice"),
    "a size with a name": (
        in_graph(field(13, field(2, field(1, field(2, TWO_SIZES))))), "both a number and a name"),
    "a type of more than 32 bits": (
        in_graph(field(5, field(2, 1 << 32 | 1) + field(8, b"z"))), "type 4294967297"),
    "a name that is not UTF-8": (WHOLE + field(2, b"\xff\xfe"), "not UTF-8"),
    "60,000 fields": (WHOLE + field(8, b"") * 60_000, "more than 50,000 fields"),
    "five million bytes of text": (WHOLE + field(6, b"x" * 5_000_000), "take more than 4,194,304"),
    "ORT's own format as well": (TWO_FORMATS, "bytes 4 to 7 are b'ORTM'"),
}  # fmt: skip


# -- other files -----------------------------------------------------------------------


def external(location, **more):
    """A tensor whose values are in another file."""
    tensor = T(name="much", data_type=T.UINT8, dims=[len(CANARY)], data_location=T.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def used(tensor):
    """The small model with one more constant, which is a node's input."""
    return changed(lambda p: p.graph.initializer.append(tensor), op("Identity", tensor.name))


def in_constant(tensor):
    return small(op("Constant", value=tensor))


def in_subgraph(tensor):
    output = helper.make_tensor_value_info("v", T.UINT8, None)
    inner = helper.make_graph([op("Identity", "much")], "i", [], [output], [tensor])
    return small(op("If", "yes", then_branch=inner, else_branch=inner), yes=np.array(True))


def in_function(tensor):
    function = helper.make_function(
        "own", "F", [], ["y"], [op("Constant", value=tensor)], [helper.make_opsetid("", 15)]
    )
    return changed(lambda p: p.functions.append(function))


def in_sparse(tensor):
    indices = helper.make_tensor("i", T.INT64, [1], [0])
    sparse = helper.make_sparse_tensor(tensor, indices, [9])
    return changed(lambda p: p.graph.sparse_initializer.append(sparse))


EXTERNAL = "external data, in another file"
IN_MEMORY = "*/_ORT_MEM_ADDR_/*"  # a mark by which ONNX Runtime reads any address
OTHER_FILES = {
    "above by a detour": (used(external("x/../../canary")), EXTERNAL),  # CVE-2024-27318
    "in memory": (used(external(IN_MEMORY, offset=4096, length=25)), EXTERNAL),
    "declared but not named": (
        used(T(name="much", data_type=T.FLOAT, dims=[1], float_data=[1],
               data_location=T.EXTERNAL)), EXTERNAL),
    "in a Constant": (in_constant(external("canary")), EXTERNAL),
    "in a subgraph": (in_subgraph(external("canary")), "a subgraph"),
    "in a function": (in_function(external("canary")), "local functions"),
    "in a sparse constant": (in_sparse(external("canary")), "a sparse initializer"),
}  # fmt: skip


# -- constants -------------------------------------------------------------------------


def held(dims, kind=T.FLOAT, name="much", **fields):
    """The small model with one more constant."""
    tensor = T(name=name, data_type=kind, dims=dims, **fields)
    return changed(lambda p: p.graph.initializer.append(tensor))


CONSTANTS = {
    "more values than bytes": (held([5], raw_data=bytes(16)), "has 16 bytes"),
    "overflowing to 0": (held([1 << 32, 1 << 32], raw_data=b""), "product of at most"),
    "of 10,000 axes": (held([1] * 10_000, raw_data=bytes(4)), "at most 8 sizes"),
    "in two forms": (held([1], raw_data=bytes(4), float_data=[1]), "has its values as"),
    "of another form": (held([1], T.INT64, int32_data=[1]), "has its values as"),
    "too few in the slow form": (held([3], T.INT64, int64_data=[1, 2]), "has 2 numbers"),
    "too large for the type": (held([1], T.UINT8, int32_data=[256]), "256, which is no uint8"),
    "too many in the slow form": (
        held([70_000], T.INT32, int32_data=[1] * 70_000), "in the slow form, at most 65,536"),
    "of strings": (held([1], T.STRING, string_data=[b"x"]), "has string data"),
    "of 4 bits": (held([3], T.INT4, raw_data=bytes(2)), "is of type 22"),
    "named as another": (held([2], name="axes", raw_data=bytes(8)), "two constants"),
    "without a name": (held([2], name="", raw_data=bytes(8)), "nameless"),
    "too few in a Constant": (in_constant(T(data_type=1, dims=[2], raw_data=b"")), "expects 8"),
}  # fmt: skip


# -- graphs ----------------------------------------------------------------------------


def chain(n, kind, n_inputs, **attributes):
    """Nodes that take the output of the one before."""
    names = ["x", *(f"y{k}" for k in range(n))]
    pairs = itertools.pairwise(names)
    return small(*(op(kind, *[a] * n_inputs, output=b, **attributes) for a, b in pairs))


def attribute(change):
    """The small model with another attribute of its Softmax."""
    return changed(lambda proto: change(proto.graph.node[-2].attribute))


W = np.ones((4, 8, 3, 1), F32)
MANY = np.ones((4000, 1), F32)
# Nodes whose inputs and attributes do not fit each other, where kernels or shape inference read or
# write out of bounds, or where an answer depends on other images; and a constant for each.
MISFITS = {
    "wide pads": (op("Conv", "x", "k", pads=[1 << 40] * 4), W),
    "negative pads": (op("Conv", "x", "k", pads=[-1, 0, 0, 0]), W),
    "a longer kernel_shape": (op("Conv", "x", "k", kernel_shape=[3, 1, 1, 1]), W),
    # microsoft/onnxruntime#28731
    "filters of more axes": (op("Conv", "x", "k"), np.ones((4, 8, 1, 1, 1), F32)),
    "strides of 0": (op("MaxPool", "x", kernel_shape=[1, 1], strides=[0, 1]), W),
    "a kernel larger than its plane": (op("AveragePool", "x", kernel_shape=[99, 1]), W),
    "groups that do not divide the filters": (
        op("Conv", "x", "k", group=4), np.ones((6, 2, 1, 1), F32)),
    "negative groups": (op("Conv", "x", "k", group=-1), W),
    "channels that do not fit": (op("Conv", "x", "k"), W[:, :5]),
    "biases of other axes": (op("Conv", "x", "k", "k"), W),
    "other padding": (op("Conv", "x", "k", auto_pad="SAME_UPPER"), W),
    "fewer scales": (op("DequantizeLinear", "images", "k", "z", axis=1), np.ones(7, F32)),
    "places of pixels": (op("Gather", "x", "k"), np.array([0])),
    "axes twice": (op("ReduceSum", "x", "k"), np.array([1, -3])),
    "order out of range": (op("Transpose", "x", perm=[0, 1, 2, 4]), W),
    "a shape with two rests": (op("Reshape", "x", "k"), np.array([-1, -1])),
    "zeros in a shape": (op("Reshape", "x", "k", allowzero=1), np.array([0, 72])),
    "a long shape": (op("Reshape", "x", "k"), np.array([0, 72] + [1] * 60)),
    "the number of images as a constant": (op("Reshape", "x", "k"), np.array([2**61 - 1, 72])),
    "squeezed more than 1": (op("Squeeze", "x", "k"), np.array([1])),
    "sides that do not fit": (op("Add", "x", "k"), np.ones((1009, 1, 1, 1), F32)),
    "whole numbers multiplied": (op("Mul", "k", "k"), np.array([-(2**31)], np.int32)),
    "too many inputs": (op("Relu", "x", "x"), W),
    "images as an axis": (op("Transpose", "x", perm=[1, 0, 2, 3]), W),
    "a sum of all images": (op("ReduceSum", "x", "k", keepdims=1), np.array([0])),
    "images times images": (op("Gemm", "flattened", "flattened", transA=1), W),
    "a share among all images": (op("Softmax", "x", axis=0), W),
    "images behind images": (op("Concat", "x", "x", axis=0), W),
    "the number of images": (op("Cast", "s", to=T.FLOAT), W),
    "countless sizes": (op("Concat", *["s"] * 17, axis=0), W),
}  # fmt: skip
NEW_NAME = "expected one of a new name"
SIZES = [op("Shape", "x", output="s")]
GRAPHS = {
    "Div": (small(op("Div", "axes", "axes")), "an operator 'Div'"),  # INT_MIN / -1 kills ORT
    "another domain": (
        small(op("Relu", "x", domain="com.microsoft")), "'Relu' of 'com.microsoft', expected"),
    # Memory and time.
    "an outer product": (small(op("MatMul", "a", "b"), a=MANY, b=MANY.T), "bytes once"),
    "a product with the images": (
        small(op("Mul", "x", "b"), b=np.ones((1, 1, 1, 40_000), F32)), "bytes an image"),
    "doubled again and again": (chain(60, "Concat", 2, axis=1), "bytes an image"),
    "1,001 nodes": (chain(995, "Relu", 1), "has 1,001 nodes, expected up to 1,000"),
    "much work": (
        small(op("Conv", "x", "k", pads=[300] * 4), k=np.ones((1, 8, 512, 512), F32)),
        "multiplications an image"),
    "much work on constants": (
        small(op("MatMul", "a", "b"), a=np.ones((600, 4000), F32), b=np.ones((4000, 600), F32)),
        "multiplications once"),
    # Nodes that are none.
    "no such input": (small(op("Relu", "q")), "'q', which no node before it computes"),
    "an output over a constant": (small(op("Relu", "x", output="axes")), NEW_NAME),
    "two outputs": (
        small(helper.make_node("MaxPool", ["x"], ["a", "b"], kernel_shape=[1, 1])),
        NEW_NAME),
    # Attributes that are none.
    "an unknown attribute": (small(op("Relu", "x", mode="x")), "unknown attribute 'mode'"),
    "an attribute twice": (attribute(lambda a: a.append(a[0])), "or has it twice"),
    "an attribute with two values": (
        attribute(lambda a: setattr(a[0], "f", 0.0)), "without its value"),
    **{
        name: (small(*SIZES, node, k=k, z=np.zeros(7, np.uint8), zero=np.array([0])),
               "inputs and attributes that do not fit")
        for name, (node, k) in MISFITS.items()
    },
}  # fmt: skip


# -- versions, inputs, outputs, metadata -------------------------------------------------


def opsets(*pairs):
    def change(proto):
        del proto.opset_import[:]
        proto.opset_import.extend(helper.make_opsetid(*pair) for pair in pairs)

    return changed(change)


def told(key, value):
    """The small model with other metadata; None takes an entry away."""

    def change(proto):
        facts = {entry.key: entry.value for entry in proto.metadata_props} | {key: value}
        del proto.metadata_props[:]
        helper.set_model_props(proto, {k: v for k, v in facts.items() if v is not None})

    return changed(change)


def input_size(k, **change):
    """The small model with another size of its input."""

    def resize(proto):
        dimension = proto.graph.input[0].type.tensor_type.shape.dim[k]
        dimension.Clear()
        for key, number in change.items():
            setattr(dimension, key, number)

    return changed(resize)


def stating(name, kind, shape):
    info = helper.make_tensor_value_info(name, kind, shape)
    return changed(lambda p: p.graph.value_info.append(info))


OTHER = helper.make_tensor_value_info("z", 1, ["b"])
TWO = helper.make_tensor_value_info("probabilities", 1, ["b", 2])
UPDATE = r"operator sets 13 to 26 in formats 7 to 13\. Update: pip install -U apparel onnxruntime"
SAYS = "but its description says"
DESCRIPTIONS = {
    "operator set 12": (opsets(("", 12)), "sets {'': 12} .* sets 13 to 26 .*Write one with"),
    "operator set 27": (opsets(("", 27)), UPDATE),
    "another set only": (opsets(("ai.onnx.ml", 2)), "does not say which operator set"),
    "two operator sets": (opsets(("", 15), ("", 13)), "operator set '' twice"),
    "a huge other set": (opsets(("", 15), ("com.microsoft", 1 << 32)), UPDATE),
    "a newer format": (changed(lambda p: setattr(p, "ir_version", 14)), UPDATE),
    "an old format": (changed(lambda p: setattr(p, "ir_version", 3)), "in format 3"),
    "no graph": (changed(lambda p: p.ClearField("graph")), "has no graph"),
    "no input": (changed(lambda p: p.graph.input.pop()), f"its input is missing, {SAYS}"),
    "two inputs": (changed(lambda p: p.graph.input.append(OTHER)), f"z float.*{SAYS}"),
    "floats as images": (
        changed(lambda p: setattr(p.graph.input[0].type.tensor_type, "elem_type", 1)),
        "its input is images float"),
    "one image at a time": (input_size(0, dim_value=1), "any number n of images"),
    "free height": (input_size(1, dim_param="h"), "its input is images"),
    "images of 1,025 pixels": (small(shape=(1025, 8, 1)), "at most 1,024 pixels a side"),
    "another output": (changed(lambda p: setattr(p.graph.output[0], "name", "p")), "output is p "),
    "another number of classes": (
        changed(lambda p: [p.graph.output[0].CopyFrom(TWO),
                           setattr(p.metadata_props[0], "value", '["a", "b"]')]),
        f"it computes .*{SAYS}"),
    "an output of no node": (changed(lambda p: p.graph.node.pop()), f"it computes .*{SAYS}"),
    "another shape stated": (stating("x", T.FLOAT, ["b", 8, 9, 2]), "another shape of x"),
    "another type stated": (stating("x", T.INT8, ["b", 8, 9, 1]), "another shape of x"),
    "no class names": (told("class_names", None), "not one that apparel wrote: its class_names"),
    "10,001 names": (told("class_names", json.dumps(["a"] * 10_001)), "expected a list of 1 to"),
    **{f"a name {name!a}": (told("class_names", json.dumps(["a", name, "c"])),
                            "expected a name that can be shown")
       for name in (" ", "b\x1b", "\u2028", "\ud800")},
    "facts of a later form": (
        told("apparel", '{"version": "9", "format": 2}'), "in form 2.*Update: pip install -U app"),
    "a million lists": (told("class_names", "[" + "[]," * 10**6 + "[]]"), "3,000,004 characters"),
    "deep lists": (told("class_names", "[" * 500_000), "expected JSON"),
    "a number of 100,000 digits": (told("img_shape", "[8, 9, " + "1" * 100_000 + "]"), "img_shape"),
    "true as a size": (told("img_shape", "[8, 9, true]"), "img_shape"),
    **{f"a threshold of {value}": (told("threshold", value), "threshold is")
       for value in ("1.5", "NaN", "true", '"0.5"')},
    **{f"a novelty threshold of {value}": (told("novelty_threshold", value),
                                           f"novelty_threshold is|{SAYS}")
       for value in ("null", "0", "1e39", "1" + "0" * 400)},
    "metadata twice": (
        changed(lambda p: p.metadata_props.add(key="threshold", value="1")), "'threshold' twice"),
    "metadata without value": (changed(lambda p: p.metadata_props.add(key="x")), "without name or"),
    "settings for ONNX Runtime": (
        told("ort_config", '{"session_options": {"optimized_model_filepath": "canary"}}'),
        "a command to a runtime"),
}  # fmt: skip


# -- all of them -------------------------------------------------------------------------

KINDS = {
    "bytes of no meaning or two": BYTES_OF_NO_MEANING_OR_TWO,
    "other files": OTHER_FILES,
    "constants that do not fill their shape": CONSTANTS,
    "graphs that apparel does not write": GRAPHS,
    "files that are not what they say": DESCRIPTIONS,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_hostile_file_is_refused_in_little_time_and_memory(tmp_path, kind):
    folder = tmp_path / "models"
    folder.mkdir()
    for canary in (tmp_path / "canary", folder / "canary"):
        canary.write_bytes(CANARY)
    for name, (content, match) in KINDS[kind].items():
        print(name)
        refuse_cheaply(write(folder, content), match)
    assert (tmp_path / "canary").read_bytes() == (folder / "canary").read_bytes() == CANARY


def test_the_small_model_itself_is_read(tmp_path):
    """So that what is refused here is refused for what was done to it."""
    for proto in (
        small(),
        small(op("Relu", "x")),
        in_constant(T(data_type=2, dims=[1], raw_data=b"a")),
    ):
        Predictor(write(tmp_path, proto), exact=True)


def test_what_a_message_shows_of_a_file_is_short_and_harmless(tmp_path):
    proto = small(op("Evil\n\x1b[2J" + "x" * 5000, "x"))
    message = refuse(write(tmp_path, proto), r"'Evil\\n\\x1b\[2Jx+\.\.\.'")
    assert "\x1b" not in message
