"""Load, overload, endings and attacks on a server of this machine, and what must hold of them.

    make stress                          (about 15 minutes on an idle machine)
    python -m benchmarks.serving MODEL   the same; --short for a try of each

MODEL is an ONNX file, or a run directory. Everything stays on the loopback, and is bounded in
number and time. Writes the figures to benchmarks/results/, and exits with 1 where something does
not hold.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from apparel.data.sources.fashion_mnist import load_images
from benchmarks.record import keep
from benchmarks.serving import hostile, load
from benchmarks.serving.client import post
from benchmarks.serving.server import Server, png, serving


class Sizes(NamedTuple):
    """The size of each measurement."""

    seconds: float
    soak: int
    overload: float
    parts: int
    terminations: int
    cases: int
    messages: int
    bodies: int
    slow: int


FULL = Sizes(10, 100_000, 60, 6, 50, 600, 10_000, 64, 200)
SHORT = Sizes(2, 5_000, 5, 1, 3, 20, 500, 16, 50)


def stress(
    start: Callable[[], AbstractContextManager[Server]], sizes: Sizes, name: str
) -> dict[str, Any]:
    """Measure everything.

    Args:
        start: function that starts a server.
        sizes: size of each measurement.
        name: name of the model.
    """
    as_file, as_json, as_bytes = _requests(name)
    found: dict[str, Any] = {}
    with start() as server:
        for title, request in (("png", as_file), ("json", as_json), ("binary", as_bytes)):
            found[f"peak_{title}"] = load.peak(
                server, request, connections=16, seconds=sizes.seconds
            )
        found["slow_connections"] = hostile.slow_connections(
            server, as_file, connections=sizes.slow, seconds=14
        )
        found["slow_readers"] = hostile.slow_readers(
            server, connections=min(sizes.slow, 50), seconds=25
        )
        for chunked in (False, True):
            found[f"large_bodies_{'chunked' if chunked else 'declared'}"] = hostile.large_bodies(
                server, bodies=sizes.bodies, chunked=chunked
            )
        found["malformed"] = hostile.malformed(server, messages=sizes.messages)
        found["schemathesis"] = hostile.schema_cases(server, examples=sizes.cases)
        found["memory"] = {"resident_mb": round(server.resident_mb(), 1)}
    with start() as server:
        found["soak"] = load.soak(server, as_bytes, requests=sizes.soak, warm_up=1000)
    with start() as server:
        found["overload"] = load.overload(
            server, as_file, factor=4, seconds=sizes.overload, parts=sizes.parts
        )
    found["terminations"] = load.terminations(start, as_bytes, times=sizes.terminations)
    return found


def _requests(name: str) -> tuple[bytes, bytes, bytes]:
    """Write one image of Fashion-MNIST as a PNG file, a JSON tensor, and a binary tensor."""
    image = load_images("test")[0]
    path = f"/v2/models/{name}/infer"
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, *image.shape]}
    in_json = json.dumps({"inputs": [{**tensor, "data": image.ravel().tolist()}]}).encode()
    binary = {**tensor, "parameters": {"binary_data_size": image.size}}
    head = json.dumps({"inputs": [binary]}).encode()
    kind = f"application/octet-stream\r\nInference-Header-Content-Length: {len(head)}"
    return (
        post("/predict", png(image), "image/png"),
        post(path, in_json, "application/json"),
        post(path, head + image.tobytes(), kind),
    )


AT_LEAST = {
    "requests a second": ("peak_png", "per_second", 300),
    "of the peak at four times as much": ("overload", "answered_share_of_peak", 0.9),
    "requests refused at four times as much": ("overload", "refused", 1),
}
AT_MOST = {
    "ms for 99 % of the answers": ("peak_png", "p99_ms", 50),
    "MB more after all requests": ("soak", "rise_mb", 30),
    "descriptors left": ("soak", "descriptors_left", 0),
    "other answers in the long run": ("soak", "others", 0),
    "ms for 99 % of the refusals": ("overload", "busy_p99_ms", 50),
    "other answers than 200 and 503": ("overload", "others", 0),
    "requests without an answer": ("overload", "lost", 0),
    "connections reset at the end": ("terminations", "reset", 50),
    "failures at the end": ("terminations", "failed", 0),
    "seconds to the end": ("terminations", "longest_s", 10),
    "server errors": ("malformed", "server_errors", 0),
    "tracebacks": ("malformed", "tracebacks", 0),
    "failed cases": ("schemathesis", "n_failures", 0),
    "tracebacks of cases": ("schemathesis", "tracebacks", 0),
    "MB for large bodies": ("large_bodies_declared", "rise_mb", 20),
    "MB for large chunked bodies": ("large_bodies_chunked", "rise_mb", 20),
    "slow connections that stay": ("slow_connections", "not_cut", 0),
    "slow readers that stay": ("slow_readers", "not_cut", 0),
    "times as slow beside slow connections": ("slow_connections", "p99_ratio", 2),
    "MB resident": ("memory", "resident_mb", 200),
}


def broken_promises(found: dict[str, Any]) -> list[str]:
    """List the promises that do not hold, with the figures."""
    too_little = [
        f"{found[part][value]} {what}, at least {limit} must be"
        for what, (part, value, limit) in AT_LEAST.items()
        if not found[part][value] >= limit
    ]
    return too_little + [
        f"{found[part][value]} {what}, at most {limit} may be"
        for what, (part, value, limit) in AT_MOST.items()
        if not found[part][value] <= limit
    ]


def main() -> int:
    """Measure, write the figures, and report what does not hold."""
    parser = argparse.ArgumentParser(description="Load and attack a server of this machine.")
    parser.add_argument("model", type=Path, help="an ONNX file, or a run directory")
    parser.add_argument("--short", action="store_true", help="a try of each")
    parser.add_argument("--exact", action="store_true", help="serve in float32")
    asked = parser.parse_args()
    options = ["--exact"] if asked.exact else []
    name = asked.model.stem if asked.model.is_file() else asked.model.resolve().name
    with tempfile.TemporaryDirectory() as folder:
        found = stress(
            lambda: serving(asked.model, Path(folder), *options),
            SHORT if asked.short else FULL,
            name,
        )
    broken = broken_promises(found)
    found = {"exact": asked.exact, **found, "broken": broken}
    if asked.short:
        print(json.dumps(found))
    else:
        keep("serving", found)
    for promise in broken:
        print(f"does not hold: {promise}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
