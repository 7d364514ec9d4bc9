"""The messages of an ONNX file, as far as apparel's files have them.

Field numbers are those of `onnx.proto`, IR version 13. What may not occur is named, so that a
message can say what it is; field numbers that are not here are refused as well.
"""

from apparel.predict.onnx_check.wire import (
    DATA,
    FLOAT,
    INT32,
    INT64,
    MESSAGE,
    REFUSED,
    TEXT,
    Field,
    Schema,
)


def _many(name: str, kind: str, schema: Schema | None = None) -> Field:
    return Field(name, kind, repeated=True, schema=schema)


def _one(name: str, schema: Schema) -> Field:
    return Field(name, MESSAGE, schema=schema)


_ENTRY: Schema = {1: Field("key", TEXT), 2: Field("value", TEXT)}
_PROPERTIES = _many("metadata_props", MESSAGE, _ENTRY)
_DOC = "doc_string"

TENSOR: Schema = {
    1: _many("dims", INT64),
    2: Field("data_type", INT32),
    3: Field("a segment of a tensor", REFUSED),
    4: Field("float_data", DATA),  # packed, as ONNX's writers do
    5: Field("int32_data", DATA),
    6: Field("string data", REFUSED),
    7: Field("int64_data", DATA),
    8: Field("name", TEXT),
    9: Field("raw_data", DATA),
    10: Field("double_data", REFUSED),
    11: Field("uint64_data", REFUSED),
    12: Field(_DOC, TEXT),
    13: Field("external data, in another file", REFUSED),
    14: Field("data_location", INT32),
    16: _PROPERTIES,
}
_DIMENSION: Schema = {
    1: Field("dim_value", INT64),
    2: Field("dim_param", TEXT),
    3: Field("denotation", TEXT),
}
_SHAPE: Schema = {1: _many("dim", MESSAGE, _DIMENSION)}
_TENSOR_TYPE: Schema = {1: Field("elem_type", INT32), 2: _one("shape", _SHAPE)}
_TYPE: Schema = {
    1: _one("tensor_type", _TENSOR_TYPE),
    4: Field("a sequence type", REFUSED),
    5: Field("a map type", REFUSED),
    6: Field("denotation", TEXT),
    7: Field("an opaque type", REFUSED),
    8: Field("a sparse tensor type", REFUSED),
    9: Field("an optional type", REFUSED),
}
_VALUE_INFO: Schema = {
    1: Field("name", TEXT),
    2: _one("type", _TYPE),
    3: Field(_DOC, TEXT),
    4: _PROPERTIES,
}
_ATTRIBUTE: Schema = {
    1: Field("name", TEXT),
    2: Field("f", FLOAT),
    3: Field("i", INT64),
    4: Field("s", TEXT),
    5: _one("t", TENSOR),
    6: Field("a subgraph", REFUSED),
    7: _many("floats", FLOAT),
    8: _many("ints", INT64),
    9: _many("strings", TEXT),
    10: Field("a list of tensors", REFUSED),
    11: Field("subgraphs", REFUSED),
    13: Field(_DOC, TEXT),
    14: Field("a type", REFUSED),
    15: Field("types", REFUSED),
    20: Field("type", INT32),
    21: Field("a reference to a function's attribute", REFUSED),
    22: Field("a sparse tensor", REFUSED),
    23: Field("sparse tensors", REFUSED),
}
_NODE: Schema = {
    1: _many("input", TEXT),
    2: _many("output", TEXT),
    3: Field("name", TEXT),
    4: Field("op_type", TEXT),
    5: _many("attribute", MESSAGE, _ATTRIBUTE),
    6: Field(_DOC, TEXT),
    7: Field("domain", TEXT),
    8: Field("an overload", REFUSED),
    9: _PROPERTIES,
    10: Field("device configurations", REFUSED),
}
_GRAPH: Schema = {
    1: _many("node", MESSAGE, _NODE),
    2: Field("name", TEXT),
    5: _many("initializer", MESSAGE, TENSOR),
    10: Field(_DOC, TEXT),
    11: _many("input", MESSAGE, _VALUE_INFO),
    12: _many("output", MESSAGE, _VALUE_INFO),
    13: _many("value_info", MESSAGE, _VALUE_INFO),
    14: Field("quantization annotations", REFUSED),
    15: Field("a sparse initializer", REFUSED),
    16: _PROPERTIES,
}
_OPERATOR_SET: Schema = {1: Field("domain", TEXT), 2: Field("version", INT64)}

MODEL: Schema = {
    1: Field("ir_version", INT64),
    2: Field("producer_name", TEXT),
    3: Field("producer_version", TEXT),
    4: Field("domain", TEXT),
    5: Field("model_version", INT64),
    6: Field(_DOC, TEXT),
    7: _one("graph", _GRAPH),
    8: _many("opset_import", MESSAGE, _OPERATOR_SET),
    14: _PROPERTIES,
    20: Field("training information", REFUSED),
    25: Field("local functions", REFUSED),
    26: Field("device configurations", REFUSED),
}
