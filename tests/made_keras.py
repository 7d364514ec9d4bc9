"""A small `.keras` file, made by hand as Keras makes it, of which anything can be changed."""

import copy
import io
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import h5py
import numpy as np

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
SHAPE = (8, 9, 1)
ARRAYS = {
    "layers/conv2d/vars/0": np.arange(18, dtype=np.float32).reshape(3, 3, 1, 2),
    "layers/conv2d/vars/1": np.zeros(2, np.float32),
    "layers/dense/vars/0": np.ones((3 * 3 * 2, 3), np.float32),
    "layers/dense/vars/1": np.zeros(3, np.float32),
    "optimizer/vars/0": np.int64(7),
    "optimizer/vars/1": np.float32(1e-3),
}
EMPTY = ("max_pooling2d", "dropout", "flatten")


class Case(NamedTuple):
    """A hostile file.

    Attributes:
        content: its bytes.
        match: what the message says, as a regular expression.
        suffix: of its name.
    """

    content: bytes
    match: str
    suffix: str = ".keras"


# -- the small file ----------------------------------------------------------------------


def made(module: str, class_name: str, /, **config: Any) -> dict[str, Any]:
    """An object as Keras writes it."""
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


POLICY = made("keras", "DTypePolicy", name="float32")


def layer(class_name: str, name: str | None = None, /, **config: Any) -> dict[str, Any]:
    base = {"name": name or class_name.lower(), "trainable": True, "dtype": POLICY}
    return made("keras.layers", class_name, **{**base, **config})


def conv(**config: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid",
        "data_format": "channels_last", "dilation_rate": [1, 1], "groups": 1,
        "activation": "relu", "use_bias": True,
        "kernel_initializer": made("keras.initializers", "HeNormal", seed=None),
        "bias_initializer": made("keras.initializers", "Zeros"), "kernel_regularizer": None,
    }  # fmt: skip
    return layer("Conv2D", **{**base, **config})


def dense(**config: Any) -> dict[str, Any]:
    base = {"units": 3, "activation": "softmax", "use_bias": True, "quantization_config": None}
    return layer("Dense", **{**base, **config})


def given(**config: Any) -> dict[str, Any]:
    base = {"batch_shape": [None, *SHAPE], "dtype": "float32", "sparse": False, "ragged": False,
            "name": "input_layer"}  # fmt: skip
    return made("keras.layers", "InputLayer", **{**base, **config})


def pool(**config: Any) -> dict[str, Any]:
    base = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid",
            "data_format": "channels_last"}  # fmt: skip
    return layer("MaxPooling2D", **{**base, **config})


DROPOUT = layer("Dropout", rate=0.25, seed=None, noise_shape=None)
FLATTEN = layer("Flatten", data_format="channels_last")
LAYERS = [given(), conv(), pool(), DROPOUT, FLATTEN, dense()]
ADAM = made("keras.optimizers", "Adam", name="adam", learning_rate=0.001, beta_1=0.9, beta_2=0.999,
            epsilon=1e-7, amsgrad=False)  # fmt: skip
COMPILED: dict[str, Any] = {
    "optimizer": ADAM, "loss": "categorical_crossentropy", "loss_weights": None,
    "metrics": ["accuracy", made("keras.metrics", "Precision", name="precision", dtype="float32",
                                 thresholds=None, top_k=None, class_id=None)],
    "weighted_metrics": None, "run_eagerly": False, "steps_per_execution": 1, "jit_compile": False,
}  # fmt: skip


def model(layers: list[Any] | None = None, **outer: Any) -> dict[str, Any]:
    """The small model, or one of other layers."""
    config = {"name": "small", "trainable": True, "dtype": POLICY,
              "layers": LAYERS if layers is None else layers,
              "build_input_shape": [None, *SHAPE]}  # fmt: skip
    whole = made("keras", "Sequential", **config)
    return copy.deepcopy({**whole, "compile_config": COMPILED, **outer})


def tensor(name: Any, *index: Any) -> dict[str, Any]:
    """A layer's output as another one's argument."""
    config = {"shape": [None, 1], "dtype": "float32", "keras_history": [name, *(index or (0, 0))]}
    return {"class_name": "__keras_tensor__", "config": config}


def functional(
    change: Callable[[dict[str, Any]], object] = lambda _: None, **config: Any
) -> dict[str, Any]:
    """The small model, as a Functional one."""
    layers, last = [], None
    for k, entry in enumerate(copy.deepcopy(LAYERS)):
        nodes = [{"args": [tensor(last)], "kwargs": {}}] if k else []
        last = entry["config"]["name"]
        layers.append({**entry, "name": last, "inbound_nodes": nodes})
    whole = made("keras.src.models.functional", "Functional", **{
        "name": "small", "trainable": True, "layers": layers,
        "input_layers": ["input_layer", 0, 0], "output_layers": [last, 0, 0], **config,
    })  # fmt: skip
    whole = {**whole, "registered_name": "Functional", "compile_config": copy.deepcopy(COMPILED)}
    change(whole["config"])
    return whole


def weights(
    change: Callable[[h5py.File], object] = lambda _: None, *, libver: Any = None, **options: Any
) -> bytes:
    """The small model's weights, with a change by h5py."""
    held = io.BytesIO()
    with h5py.File(held, "w", libver=libver, **options) as file:
        for name in ("layers/conv2d", "layers/dense", "optimizer", ""):
            file.create_group(f"{name}/vars".lstrip("/")).attrs["name"] = name.rpartition("/")[2]
        for name in EMPTY:
            file.create_group(f"layers/{name}/vars").attrs["name"] = name
        for name, array in ARRAYS.items():
            file[name] = array
        change(file)
    return held.getvalue()


def zipped(
    config: Any = None, held: bytes | None = None, metadata: Any = None, **options: Any
) -> bytes:
    """A file of three members."""
    said = {"keras_version": "3.15.1", "date_saved": "2026-11-26@05:38:38"}
    metadata = said if metadata is None else metadata
    return raw_zip(
        [
            Entry(METADATA, as_bytes(metadata)),
            Entry(CONFIG, as_bytes(model() if config is None else config)),
            Entry(WEIGHTS, WHOLE_WEIGHTS if held is None else held),
        ],
        **options,
    )


def as_bytes(content: Any) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content).encode()


class Entry:
    """A member of a zip file; whatever is said of it may be false."""

    def __init__(self, name: str | bytes, content: bytes, **said: Any) -> None:
        self.name = name if isinstance(name, bytes) else name.encode()
        self.content = content
        if said.pop("deflate", False):
            packing = zlib.compressobj(9, zlib.DEFLATED, -15)
            self.content = packing.compress(content) + packing.flush()
            said.setdefault("method", 8)
        self.said = {
            "version": 20, "flags": 0, "method": 0, "crc": zlib.crc32(content), "extra": b"",
            "stored": len(self.content), "size": len(content), "local": {}, "comment": b"",
            "system": 3, "attributes": 0o600 << 16, "gap": b"", "at": None, "disk": 0, **said,
        }  # fmt: skip

    def local(self) -> bytes:
        said = {"name": self.name, **self.said, **self.said["local"]}
        head = struct.pack(
            "<4s5H3I2H", said.get("signature", b"PK\3\4"), said["version"], said["flags"],
            said["method"], 0, 33, said["crc"], said["stored"], said["size"], len(said["name"]),
            len(said["extra"]),
        )  # fmt: skip
        return said["gap"] + head + said["name"] + said["extra"] + self.content

    def listed(self, at: int) -> bytes:
        said = self.said
        at = at + len(said["gap"]) if said["at"] is None else said["at"]
        head = struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", said["system"] << 8 | 20, said["version"], said["flags"],
            said["method"], 0, 33, said["crc"], said["stored"], said["size"], len(self.name),
            len(said["extra"]), said.get("comment_size", len(said["comment"])), said["disk"], 0,
            said["attributes"], at,
        )  # fmt: skip
        return head + self.name + said["extra"] + said["comment"]


def raw_zip(
    entries: list[Entry], *, before: bytes = b"", after: bytes = b"", tail: bytes = b"", **end: Any
) -> bytes:
    """A zip file of any members, and with a false end if wanted."""
    body, listed = before, b""
    for entry in entries:
        listed += entry.listed(len(body))
        body += entry.local()
    body += after
    said = {"disk": 0, "count": len(entries), "all": len(entries), "size": len(listed),
            "start": len(body), "comment": b"", **end}  # fmt: skip
    closing = struct.pack(
        "<4s4H2IH", b"PK\5\6", said["disk"], 0, said["count"], said["all"], said["size"],
        said["start"], said.get("comment_size", len(said["comment"])),
    )  # fmt: skip
    return body + listed + end.get("between", b"") + closing + said["comment"] + tail


WHOLE_WEIGHTS = weights()
WHOLE = zipped()
