"""The arguments of what uses a model: predict, serve, export."""

import argparse
from pathlib import Path

from apparel.cli.arguments.base import SHOWN, Commands, Parser, add_data_dir, add_ray
from apparel.core.model_formats import INT8_FORMATS, SUFFIXES
from apparel.serve.limits import Limits


def add_predict(commands: Commands, common: Parser) -> None:
    """Add `apparel predict`."""
    command = commands.add_parser(
        "predict",
        parents=[common],
        help="classify image files",
        description="Classify image files with an exported model. Loads no TensorFlow.",
    )
    add = command.add_argument
    add("model", type=Path, metavar="MODEL", help="an .onnx file, or a run directory that has one")
    add(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="an image file, a folder of them, a pattern such as 'photos/*.jpg', a Parquet file of "
        "images, a CSV file with a column path, a URL of any of these such as s3://bucket/photos, "
        "- for standard input, or a part of Fashion-MNIST such as 'fashion-mnist:test[0:100]'",
    )
    add(
        "--top-k",
        type=int,
        default=1,
        metavar="K",
        help=f"how many classes to name {SHOWN}",
    )
    add(
        "--threshold",
        type=float,
        metavar="T",
        help="mark answers of a lower confidence as not sure, 0 for none (default: as the model "
        "was made)",
    )
    add(
        "--raw",
        action="store_true",
        help="take photos as they are, and do not make them look like Fashion-MNIST's images",
    )
    add(
        "--exact",
        action="store_true",
        help="compute in float32, even where OpenVINO in bfloat16 is installed and faster",
    )
    add(
        "--output",
        metavar="FILE",
        help="write every class's probability to a .csv, .jsonl or .parquet file, and no rows to "
        "the terminal; with --ray, a folder of such files, or its URL",
    )
    add(
        "--explain",
        type=Path,
        metavar="DIR",
        help="a new folder for a PNG picture of each image with what mattered for the answer",
    )
    add_ray(command)
    add_data_dir(command)


def add_serve(commands: Commands, common: Parser) -> None:
    """Add `apparel serve`."""
    command = commands.add_parser(
        "serve",
        parents=[common],
        help="serve a model over HTTP, with a page for people",
        description="Serve an exported model: a page to try it on, POST /predict for image files, "
        "and the Open Inference Protocol for programs; /docs describes all of it. Loads no "
        "TensorFlow. Only this machine may ask unless --host says otherwise.",
    )
    add = command.add_argument
    add("model", type=Path, metavar="MODEL", help="an .onnx file, or a run directory that has one")
    add("--host", default="127.0.0.1", help=f"the address to listen on {SHOWN}")
    add("--port", type=int, default=8000, metavar="N", help=f"0 for any that is free {SHOWN}")
    add(
        "--token",
        help="what clients must send as 'Authorization: Bearer TOKEN'; better given by the "
        "environment variable APPAREL_TOKEN, which other users of the machine cannot see",
    )
    add(
        "--insecure",
        action="store_true",
        help="listen beyond this machine without a token",
    )
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name by which clients may call the server; may be repeated",
    )
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a page that may use the server, for example https://example.org; may be repeated",
    )
    add("--exact", action="store_true", help="compute in float32, even where bfloat16 is faster")
    _add_limits(command)


def _add_limits(command: argparse.ArgumentParser) -> None:
    """Add what a server takes, and how long it waits."""
    group = command.add_argument_group("limits")
    for option, value, of_what in (
        ("--max-body", Limits.body_bytes, "bytes of one request"),
        ("--max-images", Limits.images, "images of one request"),
        ("--max-pixels", Limits.pixels, "pixels of one image as it was sent"),
        ("--max-connections", Limits.connections, "connections open at once"),
        ("--queue", Limits.queue, "images that wait for an answer"),
        ("--read-timeout", Limits.read_seconds, "seconds to receive one request"),
        ("--answer-timeout", Limits.answer_seconds, "seconds that a request may wait"),
    ):
        kind = float if "timeout" in option else int
        group.add_argument(option, type=kind, default=value, metavar="N", help=f"{of_what} {SHOWN}")


def add_export(commands: Commands, common: Parser) -> None:
    """Add `apparel export`."""
    command = commands.add_parser(
        "export",
        parents=[common],
        help="write the model of a run in another format",
        description="Write the model of a run in another format, read it back in the runtime of "
        "that format, and keep it if it is the same on the run's validation images. All formats "
        "but keras take raw pixels, and say what their classes are.",
    )
    add = command.add_argument
    add("run", type=Path, metavar="RUN", help="a run directory")
    add(
        "--format",
        choices=tuple(SUFFIXES),
        default="onnx",
        help="the format: litert for telephones and boards, openvino for Intel's processors, "
        f"saved_model for TensorFlow {SHOWN}",
    )
    add(
        "--int8",
        action="store_true",
        help="let the layers compute in whole numbers of eight bits: a quarter of the size, and at "
        f"least 99%% of the same classes; for {', '.join(INT8_FORMATS)}",
    )
    add(
        "--output",
        type=Path,
        metavar="PATH",
        help=f"where to, ending in {', '.join(SUFFIXES.values())} (default: model or model.int8 "
        "with the format's ending, in RUN)",
    )
    add_data_dir(command)
