"""Configurations that must not reach Keras, of `hostile_keras`."""

import base64
import copy
import marshal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.made_keras import (
    ADAM,
    COMPILED,
    DROPOUT,
    FLATTEN,
    LAYERS,
    POLICY,
    SHAPE,
    Case,
    conv,
    dense,
    functional,
    given,
    layer,
    made,
    model,
    pool,
    tensor,
    zipped,
)

Config = dict[str, Any]


def function(module: str, name: Any, registered: Any = "function") -> Config:
    """A function as Keras writes it."""
    return {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": registered,
    }


def lambda_code(canary: Path) -> Config:
    """A function as its byte code, which writes a file."""
    code = compile(f"open({str(canary)!r}, 'w').write('run')", "code", "exec")
    text = base64.b64encode(marshal.dumps(code)).decode()
    return {
        "class_name": "__lambda__",
        "config": {"value": {"code": text, "defaults": None, "closure": None}},
    }


def lambda_layer(canary: Path, **config: Any) -> Config:
    return layer("Lambda", function=lambda_code(canary), arguments={}, **config)


def beside(*extra: Config) -> Config:
    """The small model with further layers before the dense one."""
    return model([*LAYERS[:-1], *extra, LAYERS[-1]])


def with_dense(**config: Any) -> Config:
    return model([*LAYERS[:-1], dense(**config)])


def with_conv(**config: Any) -> Config:
    return model([given(), conv(**config), pool(), FLATTEN, dense()])


def compiled(**config: Any) -> Config:
    return model(compile_config={**COMPILED, **config})


def optimizer(**config: Any) -> Config:
    return compiled(optimizer=made("keras.optimizers", "Adam", **{**ADAM["config"], **config}))


def outer(**change: Any) -> Config:
    return {**model(), **change}


def layer_of(**change: Any) -> Config:
    """The small model whose last layer is described in another way."""
    return model([*LAYERS[:-1], {**dense(), **change}])


def last(change: Callable[[Config], object]) -> Config:
    """The small model as a Functional one, whose last layer is changed."""
    return functional(lambda config: change(config["layers"][-1]))


def node(**change: Any) -> Config:
    return last(lambda entry: entry["inbound_nodes"][0].update(change))


def code_cases(canary: Path) -> dict[str, tuple[Config, str]]:
    """What would run code, read or fetch a file, or make what somebody else wrote."""
    unknown = "class_name of layer 5 is 'Lambda', expected one of"
    path = str(canary)
    get_file = {
        "module": "keras.utils",
        "class_name": "get_file",
        "registered_name": None,
        "config": {"fname": path, "origin": "http://127.0.0.1:9/", "extract": True},
    }
    nested = made("keras", "Sequential", name="inner", layers=[given(), lambda_layer(canary)])
    lookups = {
        f"{name} of a file": (
            beside(layer(name, vocabulary=path, max_tokens=None)),
            f"'{name}', expected one of",
        )
        for name in ("StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization")
    }
    layers = {
        f"the layer {name}": (beside(layer(name, **config)), "class_name of layer 5 is")
        for name, config in {
            "TFSMLayer": {"filepath": path, "call_endpoint": "serve"},
            "TorchModuleWrapper": {"module": base64.b64encode(b"PK\3\4").decode()},
            "JaxLayer": {"call_fn": lambda_code(canary), "params": None},
            "FlaxLayer": {"module": path},
            "TimeDistributed": {"layer": lambda_layer(canary)},
            "Wrapper": {"layer": lambda_layer(canary)},
            "Bidirectional": {"layer": lambda_layer(canary)},
            "RNN": {"cell": lambda_layer(canary)},
            "MultiHeadAttention": {"num_heads": 2, "key_dim": 2},
            "Embedding": {"input_dim": 10**12, "output_dim": 10**12},
            "Hashing": {"num_bins": 3},
            "CategoryEncoding": {"num_tokens": 3},
            "FeatureSpace": {"features": {"a": lambda_code(canary)}},
            "MelSpectrogram": {"fft_length": 9},
            "Pipeline": {"layers": [lambda_layer(canary)]},
            "RandomFlip": {"mode": "horizontal"},
            "Sequential": {"layers": [lambda_layer(canary)]},
            "Functional": {"layers": [lambda_layer(canary)]},
            "Model": {},
            "Layer": {},
            "Discretization": {"bin_boundaries": [1.0]},
            "Masking": {"mask_value": 0.0},
            "Conv2D ": {},
            "keras.layers.Dense": {},
            "__lambda__": {},
            "__class__": {},
            "dense": {},
        }.items()
    }
    modules = {
        f"a layer of {module}": (layer_of(module=module), "module of layer 5 is")
        for module in (
            "builtins",
            "os",
            "subprocess",
            "numpy",
            "keras",
            "keras.utils",
            "__main__",
            "keras.src.layers.core.dense",
            "keras.src.utils.python_utils",
            "tensorflow.keras.layers",
            "keras_hub.layers",
            "keras_cv.layers",
            "",
            None,
            ["keras.layers"],
            "keras.layers.",
            "keras.layers\n",
            "KERAS.LAYERS",
        )
    }
    activations = {
        f"an activation: {name}": (with_dense(activation=value), "activation of layer 5, Dense, is")
        for name, value in {
            "byte code": lambda_code(canary),
            "a Lambda": lambda_layer(canary),
            "os.system": function("os", "system"),
            "subprocess.Popen": made("subprocess", "Popen", args=["touch", path]),
            "builtins.eval": function("builtins", "eval"),
            "numpy.load": function("numpy", "load"),
            "load_model": function("keras.models", "load_model", None),
            "get_file": get_file,
            "a function of get_file": function("keras.utils", "get_file"),
            "enable_unsafe_deserialization": function(
                "keras.config", "enable_unsafe_deserialization"
            ),
            "func_load": function("keras.src.utils.python_utils", "func_load"),
            "set_global_attribute": function(
                "keras.src.backend.common.global_state", "set_global_attribute"
            ),
            "relu of builtins": function("builtins", "relu", "relu"),
            "a layer": layer("ReLU"),
            "a list": ["relu"],
            "a number": 3,
            "true": True,
            "a dotted name": "os.system",
            "one that halves": "glu",
            "an unknown name": "my_activation",
            "a registered name": "package>relu",
            "capitals": "ReLU",
        }.items()
    }
    objects = {
        f"an initialiser: {name}": (with_dense(kernel_initializer=value), "kernel_initializer of")
        for name, value in {
            "byte code": lambda_code(canary),
            "os.system": made("os", "system"),
            "get_file": get_file,
            "registered": {**made("keras.initializers", "Zeros"), "registered_name": "a>b"},
            "unknown": made("keras.initializers", "Identity"),
            "with more": made("keras.initializers", "Zeros", fn=1),
            "one that takes minutes": made("keras.initializers", "Orthogonal", gain=1.0),
            "an array": made("keras.initializers", "Constant", value=made("", "__numpy__")),
            "a seed generator": made(
                "keras.initializers", "HeNormal", seed=made("keras.random", "SeedGenerator")
            ),
            "a name": "he_normal",
            "nothing": None,
        }.items()
    }
    special = {
        f"a factor: {name}": (
            beside(layer("Rescaling", scale={"class_name": name, "config": config}, offset=0)),
            "scale of layer 5, Rescaling, is",
        )
        for name, config in {
            "__numpy__": {"value": [1.0] * 9, "dtype": "object"},
            "__tensor__": {"value": [1.0], "dtype": "float32"},
            "__bytes__": {"value": "x"},
            "__slice__": {"start": 0, "stop": 1, "step": None},
            "__ellipsis__": {},
            "__typespec__": [],
            "__lambda__": lambda_code(canary)["config"],
        }.items()
    }
    return {
        "a Lambda": (beside(lambda_layer(canary)), unknown),
        "a Lambda with a function of Keras": (
            beside(
                layer(
                    "Lambda",
                    function=function("keras.models", "load_model"),
                    arguments={"filepath": path, "safe_mode": False},
                )
            ),
            unknown,
        ),
        "a Lambda in a Sequential": (beside(nested), "module of layer 5 is 'keras'"),
        "a Lambda as the model": ({**lambda_layer(canary), "compile_config": {}}, "module of its"),
        "a Lambda that says it is dense": (
            layer_of(config={**dense()["config"], "function": lambda_code(canary)}),
            "layer 5, Dense, has 'function'",
        ),
        "a class that is registered": (
            layer_of(registered_name="evil>Dense"),
            "registered_name of",
        ),
        "a registered name that is the class": (layer_of(registered_name="Dense"), "expected null"),
        "a registered name of nothing": (layer_of(registered_name=""), "expected null"),
        "a class of the user": (
            layer_of(module="__main__", class_name="Evil"),
            "module of layer 5",
        ),
        "custom objects": (
            outer(custom_objects={"Dense": lambda_code(canary)}),
            "'custom_objects'",
        ),
        "a file as the model's builder": (
            outer(build_config={"path": path}),
            "its build_config has 'path'",
        ),
        "unsafe mode": (outer(safe_mode=False), "has 'safe_mode'"),
        "unsafe mode in a layer": (layer_of(safe_mode=False), "layer 5 has 'safe_mode'"),
        "a function as the model": (function("keras.models", "load_model"), "module of its model"),
        "get_file as the model": (get_file, "module of its model"),
        "a registered model": (outer(registered_name="evil>Sequential"), "registered_name of its"),
        "a model of the user": (outer(module="__main__", class_name="MyModel"), "of its model is"),
        "keras.Model": (outer(class_name="Model"), "class_name of its model is 'Model'"),
        "Functional of keras": ({**functional(), "module": "keras"}, "expected Functional as"),
        "Functional without a name": ({**functional(), "registered_name": None}, "expected Func"),
        "Sequential of another module": (
            outer(module="keras.src.models.functional"),
            "expected Sequential as",
        ),
        "a shared object": (layer_of(shared_object_id="x"), "shared_object_id of layer 5"),
        "a file as a layer's builder": (layer_of(build_config={"path": path}), "build_config of"),
        "a builder that is no object": (layer_of(build_config=path), "build_config of layer 5 is"),
        "a builder of huge shapes": (
            layer_of(build_config={"input_shape": [None, 10**30]}),
            "digits|input_shape of",
        ),
        **lookups,
        **layers,
        **modules,
        **activations,
        **objects,
        **special,
    }


def size_cases() -> dict[str, tuple[Config, str]]:
    """Numbers and names that make no sense, or would take too much."""
    wrong: tuple[Any, ...] = (0, -1, 10**12, 2.0, True, "3", [3], None, {})
    units = {
        f"{value!r} units": (with_dense(units=value), "units of layer 5, Dense, is")
        for value in wrong
    }
    filters = {
        f"{value!r} filters": (with_conv(filters=value), "filters of layer 1, Conv2D, is")
        for value in wrong
    }
    kernels = {
        f"a kernel of {value!r}": (with_conv(kernel_size=value), "kernel_size")
        for value in (3, [3], [3, 3, 3], [0, 3], [10**9, 3], ["3", "3"], None)
    }
    names = {
        f"the name {value!r:.20}": (with_dense(name=value), "name of layer 5, Dense, is")
        for value in ("", "a/b", "../x", "a\\b", "a\nb", "a\0b", "x" * 300, 3, None, ["a"])
    }
    types = {
        f"numbers as {value!r:.60}": (with_dense(dtype=value), "dtype of layer 5, Dense")
        for value in (
            "int8",
            "int8_from_float32",
            "float8",
            "string",
            "object",
            32,
            None,
            made("keras", "QuantizedDTypePolicy", mode="int8"),
            made("keras", "DTypePolicyMap", policy_map={}),
            made("keras.dtype_policies", "DTypePolicy", name="float32"),
            made("keras", "DTypePolicy"),
            made("keras", "FloatDTypePolicy", name="float32"),
            {**POLICY, "registered_name": "a>b"},
        )
    }
    wide = [given(), FLATTEN, *(dense(units=1 << 20, name=f"d{k}") for k in range(4))]
    bloated = [
        given(),
        *(
            layer(
                "ZeroPadding2D",
                f"z{k}",
                padding=[[1000, 1000], [1000, 1000]],
                data_format="channels_last",
            )
            for k in range(5)
        ),
    ]
    many = [given(), *(layer("ReLU", f"r{k}") for k in range(400))]
    bn = {"axis": -1, "center": True, "scale": True}
    reshaped = {
        f"the shape {shape!r}": (model([given(), layer("Reshape", target_shape=shape)]), match)
        for shape, match in (
            ([7, 7], "as many values"),
            ([-1, -1], "as many values"),
            ([0, 3], "as many values"),
            ([-1, 0], "as many values"),
            ([-1, 7], "as many values"),
            ([-2], "target_shape of"),
            ([], "target_shape of"),
            ([1 << 40], "target_shape of"),
            ("x", "target_shape of"),
        )
    }
    inputs = {
        f"images of {shape!r}": (model([given(batch_shape=shape), FLATTEN, dense()]), match)
        for shape, match in (
            ([None, None, 9, 1], "expected fixed sizes"),
            ([None], "batch_shape of"),
            ([None, 0, 9, 1], "batch_shape of"),
            ([None, 10**9, 9, 1], "batch_shape of"),
            ([None, 1 << 20, 1 << 20, 1], "gives 1,099,511,627,776 values"),
            ([None, *[2] * 9], "batch_shape of"),
            (None, "batch_shape of"),
            ("8", "batch_shape of"),
            ([None, 8.0, 9, 1], "batch_shape of"),
            ([None, True, 9, 1], "batch_shape of"),
        )
    }
    return {
        **units,
        **filters,
        **kernels,
        **names,
        **types,
        **reshaped,
        **inputs,
        "weights of 16 TB": (model(wide), "weights take more than 536,870,912 bytes"),
        "a model as wide as it may be": (
            model([given(), FLATTEN, dense(units=1 << 20)]),
            "does not imply",
        ),
        "images of 33 million values": (
            model([given(batch_shape=[None, 4096, 4097, 2]), FLATTEN, dense()]),
            "gives 33,562,624 values",
        ),
        "nine layers of 16 million values": (
            model(
                [
                    given(batch_shape=[None, 4096, 4096, 1]),
                    *(layer("ReLU", f"r{k}") for k in range(8)),
                    FLATTEN,
                    dense(),
                ]
            ),
            "all layers give more than 134,217,728",
        ),
        "kernels of 64 sides": (
            model(
                [
                    given(batch_shape=[None, 512, 512, 64]),
                    conv(filters=64, kernel_size=[64, 64], padding="same"),
                    FLATTEN,
                    dense(),
                ]
            ),
            "take more than 68,719,476,736 multiplications",
        ),
        "margins that add up": (model(bloated), "gives .* values, at most"),
        "401 layers": (model(many), "a list of 1 to 400"),
        "a model without layers": (model([]), "layers of its model"),
        "an input alone": (model([given()]), "no InputLayer, or nothing else"),
        "no input": (model(LAYERS[1:]), "comes before an InputLayer"),
        "two inputs": (model([given(), given(name="other"), *LAYERS[1:]]), "is a second input"),
        "an input in the middle": (beside(given(name="other")), "is a second input"),
        "layers of one name": (beside({**DROPOUT}), "as another one"),
        "a layer of two names": (last(lambda entry: entry.update(name="other")), "by two names"),
        "a sparse input": (model([given(sparse=True), *LAYERS[1:]]), "sparse of layer 0"),
        "a ragged input": (model([given(ragged=True), *LAYERS[1:]]), "ragged of layer 0"),
        "texts as images": (model([given(dtype="string"), *LAYERS[1:]]), "dtype of layer 0"),
        "a tensor as the input": (model([given(input_tensor=1), *LAYERS[1:]]), "'input_tensor'"),
        "steps of 0": (with_conv(strides=[0, 1]), "strides of layer 1"),
        "a kernel that is too large": (with_conv(kernel_size=[9, 9]), "smaller windows"),
        "spread that is too large": (with_conv(dilation_rate=[9, 9]), "smaller windows"),
        "3 groups": (with_conv(groups=3), "groups that fit"),
        "0 groups": (with_conv(groups=0), "groups of layer 1"),
        "causal padding": (with_conv(padding="causal"), "padding of layer 1"),
        "another order of axes": (with_conv(data_format="channels_middle"), "data_format of"),
        "an unknown argument": (with_conv(lora_rank=4), "has 'lora_rank'"),
        "no filters": (model([given(), layer("Conv2D"), FLATTEN, dense()]), "lacks data_format"),
        "quantisation": (with_dense(quantization_config={"mode": "int8"}), "quantization_config"),
        "a bias that is 1": (with_dense(use_bias=1), "use_bias of layer 5"),
        "a rate of 2": (beside(layer("Dropout", "d", rate=2)), "rate of layer 5, Dropout"),
        "a rate in words": (beside(layer("Dropout", "d", rate="0.5")), "rate of layer 5"),
        "a seed of -1": (beside(layer("Dropout", "d", rate=0.5, seed=-1)), "seed of layer 5"),
        "noise of a huge shape": (
            beside(layer("Dropout", "d", rate=0.5, noise_shape=[10**9])),
            "noise_shape of",
        ),
        "a pool of three sides": (
            model([given(), pool(pool_size=[2, 2, 2]), FLATTEN, dense()]),
            "pool_size of",
        ),
        "a pool of features": (model([given(), FLATTEN, pool(), dense()]), "one input of 3 sizes"),
        "a convolution of features": (model([given(), FLATTEN, conv(), dense()]), "3 sizes"),
        "a pool larger than the image": (
            model([given(), pool(pool_size=[99, 99]), FLATTEN, dense()]),
            "smaller windows",
        ),
        "margins of a billion": (
            beside(layer("ZeroPadding2D", padding=[[10**9, 0], [0, 0]])),
            "lacks data_format|padding",
        ),
        "the axis 9": (beside(layer("BatchNormalization", **{**bn, "axis": 9})), "axis of layer 5"),
        "the axis 0": (beside(layer("BatchNormalization", **{**bn, "axis": 0})), "the axis 0 for"),
        "the axis -3": (beside(layer("BatchNormalization", **{**bn, "axis": -3})), "the axis -3"),
        "renormalisation": (beside(layer("BatchNormalization", **bn, renorm=True)), "renorm of"),
        "an axis twice": (
            beside(layer("LayerNormalization", **{**bn, "axis": [-1, 1]})),
            "expected each once",
        ),
        "a normalisation that lacks its axis": (
            beside(layer("BatchNormalization", center=True, scale=True)),
            "lacks axis",
        ),
        "one input to add": (beside(layer("Add")), "two or more of the same rank"),
        "five factors": (
            beside(layer("Rescaling", scale=[1.0] * 5, offset=0)),
            "5 values of scale",
        ),
        "a factor of 10^300": (beside(layer("Rescaling", scale=1e300, offset=0)), "scale of"),
        "a penalty of the user": (
            with_dense(kernel_regularizer=made("keras.regularizers", "Mine")),
            "kernel_regularizer",
        ),
        "a penalty by name": (with_dense(kernel_regularizer="l2"), "kernel_regularizer of"),
        "a constraint of the user": (
            with_dense(kernel_constraint=made("__main__", "MaxNorm")),
            "kernel_constraint of",
        ),
        "trainable in words": (with_dense(trainable="no"), "trainable of layer 5"),
        "layers that are no list": (
            outer(config={**model()["config"], "layers": {"a": 1}}),
            "layers of its model",
        ),
        "a layer that is no object": (model([given(), "Dense"]), "layers of its model"),
        "a layer of nothing": (model([given(), {}]), "layer 1 lacks class_name"),
        "a layer without configuration": (
            model([given(), {**dense(), "config": None}]),
            "config of",
        ),
        "a configuration that is a list": (outer(config=[]), "config of its model"),
    }


def graph_cases(canary: Path) -> dict[str, tuple[Config, str]]:
    """Functional models whose layers do not lead from the input to the output."""
    wrong_history: tuple[Any, ...] = (
        ["flatten", 1, 0],
        ["flatten", 0, 1],
        ["flatten", True, False],
        ["flatten", False, False],
        ["flatten", 0.0, 0],
        ["flatten", 0],
        "flatten",
        [["flatten"], 0, 0],
        [str(canary), 0, 0],
        ["dense", 0, 0],
        ["", 0, 0],
        [None, 0, 0],
        None,
        ["flatten", 0, 0, {}],
        ["flatten", -1, 0],
        ["flatten", 10**15, 0],
    )

    def linked(history: Any) -> Config:
        changed = tensor("flatten")
        changed["config"]["keras_history"] = history
        return node(args=[changed])

    histories = {
        f"an input {history!r}".replace(str(canary), "canary"): (
            linked(history),
            "an input of layer 5|keras_history of|no earlier layer",
        )
        for history in wrong_history
    }
    ends = {
        f"{key} {value!r}": (functional(**{key: value}), match)
        for key, value, match in (
            ("output_layers", ["nothing", 0, 0], "leads to nothing"),
            ("output_layers", ["flatten", 0, 0], "'dense' leads to nothing"),
            ("output_layers", [], "its output is"),
            ("output_layers", [["dense", 0, 0], ["dense", 0, 0]], "its output is"),
            ("output_layers", {"a": ["dense", 0, 0]}, "output_layers of its model"),
            ("output_layers", [[["dense", 0, 0]]], "its output is"),
            ("output_layers", ["dense", 7, 0], "its output is"),
            ("input_layers", ["conv2d", 0, 0], "begins at another layer"),
            ("input_layers", "input_layer", "input_layers of its model"),
        )
    }
    kwargs = {
        f"a call with {key}": (node(kwargs={key: value}), match)
        for key, value, match in (
            ("inputs", str(canary), "has 'inputs'"),
            ("function", function("os", "system"), "has 'f"),
            ("training", "yes", "training of a call"),
            ("mask", tensor("flatten"), "mask of a call"),
            ("safe_mode", False, "has 'safe_mode'"),
            ("training", lambda_code(canary), "training of"),
        )
    }
    odd = {**tensor("flatten"), "module": "builtins", "registered_name": "x"}
    return {
        **histories,
        **ends,
        **kwargs,
        "a layer that is never called": (node_list([]), "is called 0 times"),
        "a layer that is called twice": (
            node_list([{"args": [tensor("flatten")], "kwargs": {}}] * 2),
            "inbound_nodes of",
        ),
        "a layer that is called in the old way": (
            node_list([[["flatten", 0, 0, {}]]]),
            "inbound_nodes of layer 5",
        ),
        "a file as an argument": (node(args=[str(canary)]), "an input of layer 5, Dense, is"),
        "byte code as an argument": (node(args=[lambda_code(canary)]), "class_name of an input"),
        "two arguments": (
            node(args=[tensor("flatten"), tensor("flatten")]),
            "is called with 2 inputs",
        ),
        "no arguments": (node(args=[]), "is called with 0 inputs"),
        "an argument of another class": (node(args=[odd]), "has 'module'"),
        "ten thousand arguments": (
            node(args=[[tensor("flatten")] * 3_000]),
            "is called with 3,000 inputs",
        ),
        "nested arguments": (node(args=[[[tensor("flatten")]]]), "an input of layer 5"),
        "arguments that are no list": (node(args=tensor("flatten")), "args of layer 5"),
        "an input that takes something": (
            functional(
                lambda config: config["layers"][0].update(
                    inbound_nodes=[{"args": [tensor("dense")], "kwargs": {}}]
                )
            ),
            "or takes something",
        ),
        "layers in a circle": (
            functional(
                lambda config: config["layers"][1]["inbound_nodes"][0].update(
                    args=[tensor("dense")]
                )
            ),
            "'dense', which no earlier layer",
        ),
        "a layer that leads to nothing": (
            functional(
                lambda config: config["layers"].append(
                    {
                        **layer("ReLU", "spare"),
                        "name": "spare",
                        "inbound_nodes": [{"args": [tensor("flatten")], "kwargs": {}}],
                    }
                )
            ),
            "'spare' leads to nothing",
        ),
        "no order of layers": (functional(lambda config: config["layers"].reverse()), "no earlier"),
        "no ends": (functional(lambda config: config.pop("output_layers")), "lacks output_layers"),
        "sizes that do not fit": (
            functional(
                lambda config: config["layers"].insert(
                    5,
                    {
                        **layer("Add", "add"),
                        "name": "add",
                        "inbound_nodes": [
                            {"args": [[tensor("conv2d"), tensor("flatten")]], "kwargs": {}}
                        ],
                    },
                )
            ),
            "same rank",
        ),
        "planes that do not fit beside each other": (
            functional(
                lambda config: config["layers"].insert(
                    3,
                    {
                        **layer("Concatenate", "join", axis=-1),
                        "name": "join",
                        "inbound_nodes": [
                            {"args": [[tensor("conv2d"), tensor("maxpooling2d")]], "kwargs": {}}
                        ],
                    },
                )
            ),
            "the same but for axis 3",
        ),
        "planes that do not fit": (
            functional(
                lambda config: config["layers"].insert(
                    3,
                    {
                        **layer("Add", "add"),
                        "name": "add",
                        "inbound_nodes": [
                            {"args": [[tensor("conv2d"), tensor("maxpooling2d")]], "kwargs": {}}
                        ],
                    },
                )
            ),
            "expected sizes that fit",
        ),
        "a further key": (functional(cls="evil"), "has 'cls'"),
    }


def node_list(nodes: list[Any]) -> Config:
    return last(lambda entry: entry.update(inbound_nodes=nodes))


def training_cases(canary: Path) -> dict[str, tuple[Config, str]]:
    """Ways to compile a model that are not known."""
    code, path = lambda_code(canary), str(canary)
    torch = "keras.src.backend.torch.optimizers.torch_"
    things = {
        "byte code": code,
        "os.system": function("os", "system"),
        "eval of builtins": function("builtins", "eval"),
        "a function of the user": function("__main__", "mine", "mine"),
        "load_model": function("keras.models", "load_model"),
        "a function without a name": {
            key: value for key, value in function("builtins", "").items() if key != "config"
        },
        "a function whose name is a list": function("builtins", ["mean_squared_error"]),
        "a name of Keras in os": function("os", "mean_squared_error"),
        "a name of Keras, registered": function("builtins", "mean_squared_error", "evil>mse"),
        "a name of Keras and more": {**function("builtins", "mean_squared_error"), "evil": path},
        "a Lambda": lambda_layer(canary),
        "an unknown class": made("keras.losses", "Mine"),
        "a class of the user": made("__main__", "Mine"),
        "a registered class": {
            **made("keras.losses", "MeanSquaredError"),
            "registered_name": "a>b",
        },
        "a wrapped function": made("keras.losses", "LossFunctionWrapper", fn=code),
        "an unknown name": "mine",
        "a number": 3,
    }
    losses = {
        f"a loss: {name}": (compiled(loss=value), "loss of its compile_config")
        for name, value in things.items()
    }
    metrics = {
        f"a measure: {name}": (compiled(metrics=["accuracy", value]), "metrics of its comp")
        for name, value in things.items()
    }
    optimizers = {
        f"an optimiser: {name}": (compiled(optimizer=value), "optimizer of its compile")
        for name, value in things.items()
    }
    rates = {
        f"a step size: {name}": (optimizer(learning_rate=value), "learning_rate of optimizer")
        for name, value in {**things, "a negative one": -1, "true": True, "a list": [1]}.items()
        if name != "a number"
    }
    scaling: Config = copy.deepcopy(ADAM)
    for _ in range(3):
        scaling = made(
            "keras.optimizers",
            "LossScaleOptimizer",
            name="s",
            inner_optimizer=scaling,
            initial_scale=2.0,
            dynamic_growth_steps=2000,
        )
    auc = made("keras.metrics", "AUC", name="auc", num_thresholds=10**9)
    wrapper = made("keras.metrics", "MeanMetricWrapper", name="m", fn=code)
    return {
        **losses,
        **metrics,
        **optimizers,
        **rates,
        **{
            f"an optimiser on PyTorch: {name}": (
                compiled(optimizer={**ADAM, **change}),
                "of optimizer of its compile_config",
            )
            for name, change in {
                "of another class": {"module": torch + "sgd", "registered_name": "Adam"},
                "registered": {"module": torch + "adam", "registered_name": "evil>Adam"},
                "not registered": {"module": torch + "adam"},
                "unknown": {
                    "module": torch + "evil",
                    "class_name": "Evil",
                    "registered_name": "Evil",
                },
                "a list": {"module": torch + "adam", "class_name": ["Adam"]},
            }.items()
        },
        "scaling of scaling": (compiled(optimizer=scaling), "inner_optimizer of optimizer"),
        "a decay that is a string": (optimizer(weight_decay="0.1"), "weight_decay of optimizer"),
        "a step size of 10^300": (optimizer(learning_rate=1e300), "learning_rate of optimizer"),
        "an unknown argument of an optimiser": (optimizer(build=code), "has 'build'"),
        "several optimisers": (
            compiled(optimizer=made("keras.optimizers", "MultiOptimizer", optimizers=[])),
            "optimizer of its compile_config is of the class",
        ),
        "a billion thresholds": (compiled(metrics=[auc]), "metrics of its compile_config|num_thr"),
        "a measure that wraps a function": (compiled(metrics=[wrapper]), "metrics of its"),
        "a thousand measures": (compiled(metrics=["accuracy"] * 1000), "metrics of its compile"),
        "measures in an object": (compiled(metrics={"a": "accuracy"}), "metrics of its compile"),
        "10^12 steps at once": (compiled(steps_per_execution=10**12), "steps_per_execution of"),
        "eagerness in words": (compiled(run_eagerly="yes"), "run_eagerly of its compile_config"),
        "an unknown way to compile": (compiled(distribute=str(canary)), "has 'distribute'"),
        "a way to compile that is a list": (
            model(compile_config=[]),
            "compile_config of its model",
        ),
        "weights of losses that are code": (compiled(loss_weights=code), "loss_weights of its"),
        "weighted measures that are code": (
            compiled(weighted_metrics=[code]),
            "weighted_metrics of",
        ),
    }


def config_cases(canary: Path) -> dict[str, Case]:
    """All of them as files."""
    found = {
        **code_cases(canary),
        **size_cases(),
        **graph_cases(canary),
        **training_cases(canary),
    }
    assert SHAPE == (8, 9, 1)
    return {name: Case(zipped(config), match) for name, (config, match) in found.items()}
