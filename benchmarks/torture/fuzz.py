"""Coverage-guided fuzzing of every kind of file that is read, by Atheris and libFuzzer.

    python -m benchmarks.torture.fuzz                      # 100,000 mutants of all kinds together
    python -m benchmarks.torture.fuzz csv -runs=20000 -seed=7
    python -m benchmarks.torture.fuzz csv crash-0123       # once more, what was found before

Honest files are changed, and what reaches new lines is changed further. A crash, an exception other
than a refusal, a hang, or more than two seconds or 150 MB for a file ends the fuzzing: the file is
written to the working directory, and the exit code is not 0. The same seed gives the same mutants.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

KINDS = ("idx", "npz", "csv", "parquet", "image", "names", "cache", "onnx")
N_MUTANTS = 100_000
MOST_BYTES, MOST_SECONDS, MOST_MEGABYTES = 1 << 13, 2.0, 150
# On a machine that does other things as well. `MOST_SECONDS` are the processor's.
HANG_SECONDS = 60


def main() -> int:
    """Fuzz one kind of file in this process, or each in one of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", nargs="?", choices=KINDS, help="kind of file; default: all")
    parser.add_argument("OPTION", nargs="*", help="option of libFuzzer, or a file to try again")
    asked, options = parser.parse_known_args()
    if asked.kind:
        fuzz(asked.kind, *asked.OPTION, *options)
    codes = {}
    for kind in KINDS:
        command = [sys.executable, "-m", __spec__.name, kind, f"-runs={N_MUTANTS // len(KINDS)}"]
        codes[kind] = subprocess.run(command, check=False).returncode
    print(*(f"{kind}: {'ended with' if code else 'holds'} {code}" for kind, code in codes.items()))
    return int(any(codes.values()))


def fuzz(kind: str, *options: str) -> None:
    """Fuzz a kind of file. The process ends with it."""
    import atheris  # noqa: PLC0415  # a child alone needs it

    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # ONNX Runtime leaves a file for it, and calls home
    with atheris.instrument_imports(include=["apparel.data", "apparel.predict"]):
        from benchmarks.torture.harnesses import HARNESSES  # noqa: PLC0415  # what is instrumented

    harness = HARNESSES[kind]
    with tempfile.TemporaryDirectory() as name:
        work, corpus, words = (Path(name, part) for part in ("work", "corpus", "words"))
        left = work / "temporary"
        corpus.mkdir()
        left.mkdir(parents=True)
        os.environ["APPAREL_CACHE"] = str(work / "cache")
        for k, content in enumerate(harness.seeds()):
            if not harness.run(content, work):
                raise AssertionError(f"the honest {kind} file {k} is refused")
            (corpus / str(k)).write_bytes(content)
        tempfile.tempdir = str(left)
        if kind == "parquet":
            _limit_memory()
        before = _megabytes()

        def one(content: bytes) -> None:
            start = time.process_time()
            harness.run(content, work)
            if (seconds := time.process_time() - start) > MOST_SECONDS:
                raise AssertionError(f"it takes {seconds:.1f} seconds")
            if (more := _megabytes() - before) > MOST_MEGABYTES:
                raise AssertionError(f"it takes {more} MB")
            if files := sorted(left.iterdir()):
                raise AssertionError(f"temporary files are left: {files}")

        limits = [
            f"-max_len={MOST_BYTES}",
            f"-timeout={HANG_SECONDS}",
            "-rss_limit_mb=0",
            "-seed=1",
        ]
        if harness.words:
            quoted = ["".join(f"\\x{byte:02x}" for byte in word) for word in harness.words]
            words.write_text("".join(f'"{word}"\n' for word in quoted), encoding="ascii")
            limits.append(f"-dict={words}")
        places = [] if any(Path(option).is_file() for option in options) else [str(corpus)]
        mutate = {"custom_mutator": _mutated_model} if kind == "onnx" else {}
        atheris.Setup([kind, *limits, *options, *places], one, **mutate)
        atheris.Fuzz()


def _megabytes() -> int:
    """The most memory that this process has had; what `resource` tells begins with its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def _limit_memory() -> None:
    """Bound the memory of this process, as that of the subprocess that reads Parquet files."""
    import resource  # noqa: PLC0415  # for one kind

    import pyarrow as pa  # noqa: PLC0415  # an extra

    pa.set_memory_pool(pa.system_memory_pool())  # others reserve gigabytes at once
    data_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    limit = data_pages * resource.getpagesize() + (MOST_MEGABYTES << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _mutated_model(content: bytes, max_size: int, seed: int) -> bytes:
    """Change a field of an ONNX file so that all around it stays right, or else any bytes."""
    import atheris  # noqa: PLC0415  # as in `fuzz`
    import onnx  # noqa: PLC0415  # likewise

    random = Random(seed)  # noqa: S311  # no secret
    model = onnx.ModelProto()
    with suppress(Exception):  # no ONNX file any more
        model.ParseFromString(content)
    fields = list(_fields(model))
    if not fields or random.randrange(8) == 0:
        return bytes(atheris.Mutate(content, max_size))
    message, name, value = random.choice(fields)
    with suppress(ValueError, TypeError):  # nothing that the field can hold
        if hasattr(value, "append"):
            k = random.randrange(len(value))
            if random.randrange(2):
                value.append(_other(value[k], random))
            value.pop(k)
        else:
            setattr(message, name, _other(value, random))
    return bytes(model.SerializeToString()[:max_size])


def _fields(message: Any) -> Iterator[tuple[Any, str, Any]]:
    """The fields of a message, and of those in it: message, name and value."""
    for field, value in message.ListFields():
        many = value if hasattr(value, "append") else [value]
        if many is value or not field.message_type:
            yield message, field.name, value
        if field.message_type:
            for inner in many:
                yield from _fields(inner)


def _other(value: Any, random: Random) -> Any:
    """Another value of the same type; a message as it is."""
    if isinstance(value, bytes):
        return value[: random.randrange(len(value) + 1)] + random.randbytes(random.randrange(4))
    if isinstance(value, str):
        return random.choice(["", "x", "images", "weights", "Relu", "Conv", "Gather", value * 2])
    if isinstance(value, int | float):
        return random.choice([0, 1, 2, 7, -1, value + 1, 1 << 20, (1 << 31) - 1, -(1 << 31)])
    return value


if __name__ == "__main__":
    sys.exit(main())
