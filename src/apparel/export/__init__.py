"""Model → files, each reloaded in its own runtime and compared before it is accepted.

- `exporting`: writes, compares, describes, keeps
- `onnx_format`, `litert_format`, `saved_model`, `openvino_format`, `keras_format`: one format each
- `deployable`: the graph that all but `.keras` hold; `int8`: its layers in whole numbers
- `comparison`: what counts as the same model
- `facts`: what a file says of itself
- `placing`: a file, a folder or a pair of files, whole or not at all
"""

from apparel.export.exporting import check_precision, export
from apparel.export.facts import FASHION_MNIST, accuracy_fact, run_facts
from apparel.export.keras_format import load_keras_model

__all__ = [
    "FASHION_MNIST",
    "accuracy_fact",
    "check_precision",
    "export",
    "load_keras_model",
    "run_facts",
]
