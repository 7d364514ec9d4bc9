"""ONNX files: any number of images, named outputs, a novelty score, facts."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from apparel.export import exporting, novelty_onnx, onnx_format
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
    return write(model, pixels, tmp_path_factory.mktemp("written") / "m.onnx")


def test_the_onnx_file_takes_bytes_named_images_and_gives_named_probabilities(written):
    proto = onnx.load(written)
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
    facts = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    (opset,) = (entry.version for entry in proto.opset_import if not entry.domain)
    assert facts["needs"] == {
        "onnx_opset": opset,
        "ir_version": proto.ir_version,
        "onnxruntime": onnx_format.oldest_release(opset, proto.ir_version),
    }


def fitted(shape, *, n_validation=100):
    """A novelty score fitted to random images of rising brightness."""
    random = np.random.default_rng(0)
    images = random.random((200, *shape), np.float32) * np.linspace(0, 1, 200)[:, None, None, None]
    order = random.permutation(200)
    return novelty.fit(
        images.astype(np.float32), order[n_validation:], order[:n_validation], seed=0
    )


def test_the_onnx_file_names_the_novelty_score_and_its_threshold(model, pixels, tmp_path):
    proto = onnx.load(write(model, pixels, tmp_path / "m.onnx", novelty=fitted(IMG_SHAPE)))
    onnx.checker.check_model(proto, full_check=True)
    assert [output.name for output in proto.graph.output] == ["probabilities", "novelty"]
    dims = proto.graph.output[1].type.tensor_type.shape.dim
    assert [dim.dim_param for dim in dims] == ["batch"]
    facts = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert facts["novelty_threshold"] == fitted(IMG_SHAPE).threshold
    assert facts["class_names"] == list(NAMES)


def test_a_novelty_score_without_a_threshold_is_left_out(model, pixels, written, tmp_path):
    path = write(model, pixels, tmp_path / "m.onnx", novelty=fitted(IMG_SHAPE, n_validation=9))
    with_it, without = onnx.load(path), onnx.load(written)
    assert [output.name for output in with_it.graph.output] == ["probabilities"]
    kept = [{e.key for e in proto.metadata_props} for proto in (with_it, without)]
    assert kept[0] == kept[1]
    assert [n.op_type for n in with_it.graph.node] == [n.op_type for n in without.graph.node]


@pytest.mark.parametrize("shape", [(8, 8, 1), (30, 35, 3)])
def test_the_graph_gives_the_scores_of_images_of_any_shape(tmp_path, shape):
    found = fitted(shape)
    helper, types = onnx.helper, onnx.TensorProto
    taken = helper.make_tensor_value_info("images", types.UINT8, ["n", *shape])
    graph = helper.make_graph([], "g", [taken], [])
    novelty_onnx.add_novelty(graph, found, images="images", output="score", axis="n")
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    images = np.random.default_rng(1).integers(0, 256, (5, *shape), dtype=np.uint8)
    images[3:] //= 4
    images[4] = 7
    (scores,) = session.run(None, {"images": images})
    np.testing.assert_allclose(scores, novelty.score(found, images / np.float32(255)), rtol=1e-3)


@pytest.mark.parametrize(
    ("opset", "ir_version", "release"),
    [(13, 7, "1.6"), (13, 8, "1.9"), (21, 10, "1.18"), (22, 10, None), (21, 11, None)],
)
def test_the_oldest_runtime_that_reads_a_file_is_known(opset, ir_version, release):
    assert onnx_format.oldest_release(opset, ir_version) == release
