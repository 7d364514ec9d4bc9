"""The process that mutates files and reads them, watched by `campaign`.

Talks in lines of JSON: a job comes in on standard input, and what happens goes out on standard
output. What the readers print goes to a file, and is a finding. Standard library names only until
the job is known, so that a crash at the start is told from one of a mutant.
"""

import base64
import contextlib
import json
import os
import re
import resource
import sys
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TextIO

from apparel.core.errors import ApparelError
from benchmarks.torture.fuzzing import lines
from benchmarks.torture.fuzzing.mutators import mutated
from benchmarks.torture.fuzzing.targets import CACHE, Target, by_name

MOST_SECONDS = 2.0
MOST_MEGABYTES = 150.0
# What the process may take beyond what it has: more ends it before the machine suffers.
SPARE_BYTES = 1 << 30
LONGEST_MESSAGE = 4_000
# What is said on purpose: of decoding, and of a damaged cache.
EXPECTED_OUTPUT = re.compile(rb"Reading [\d,]+ images|.*(is removed, and|\)\. It is) made anew\.")
# Files of the cache after which it is emptied.
MOST_CACHED = 100
# Mutants of the latest seeds: what has just reached something new may reach more.
RECENT = 12


class Outcome(NamedTuple):
    """What became of a mutant.

    Attributes:
        kind: "read", "refused", or what is wrong.
        detail: of what is wrong.
    """

    kind: str
    detail: str = ""


FINE = {"read", "refused"}


class Bench:
    """A folder in which mutants are read, and what is looked at afterwards."""

    def __init__(self, target: Target, folder: Path, output: Path) -> None:
        self.target, self.folder = target, folder
        self._output, self._printed = output, 0
        self._beside = target.beside()
        for name, content in self._beside.items():
            (folder / name).write_bytes(content)
        self._temporary = folder / "temporary"
        self._temporary.mkdir(exist_ok=True)
        (folder / CACHE).mkdir(exist_ok=True)

    def read(self, name: str, content: bytes) -> Outcome:
        """Write a mutant and read it."""
        path = self.folder / name
        path.write_bytes(content)
        outcome = self._read(path)
        if name in self._beside:
            path.write_bytes(self._beside[name])
        else:
            path.unlink(missing_ok=True)
        return self._printing() or self._leaving() or outcome

    def _read(self, path: Path) -> Outcome:
        started, processor = time.perf_counter(), time.process_time()
        try:
            self.target.read(path)
            outcome = Outcome("read")
        except ApparelError as error:
            outcome = self._judged(error)
        except BaseException as error:  # noqa: BLE001  # all of them are findings
            outcome = Outcome("exception", _described(error))
        # A busy machine makes all slow: the lesser of the two clocks is the reader's doing.
        seconds = min(time.perf_counter() - started, time.process_time() - processor)
        if seconds > MOST_SECONDS:
            return Outcome("slow", f"{seconds:.1f} s")
        return outcome

    def _judged(self, error: ApparelError) -> Outcome:
        """Whether an error is of the right kind, and can be shown on a line."""
        message = str(error)
        if not isinstance(error, self.target.refusal):
            return Outcome("kind", _described(error))
        if not message.isprintable() or len(message) > LONGEST_MESSAGE:
            return Outcome("message", f"{len(message):,} letters: {ascii(message)[:300]}")
        return Outcome("refused", message[:300])

    def _printing(self) -> Outcome | None:
        """What was printed that should not be."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        size = self._output.stat().st_size
        if size == self._printed:
            return None
        with self._output.open("rb") as file:
            file.seek(self._printed)
            printed = file.read(2000)
        self._printed = size
        unexpected = [k for k in printed.splitlines() if not EXPECTED_OUTPUT.fullmatch(k)]
        return Outcome("printed", ascii(b"\n".join(unexpected[:4]))) if unexpected else None

    def _leaving(self) -> Outcome | None:
        """What was left that should not be: temporary files, and half files of the cache."""
        left = [entry.name for entry in os.scandir(self._temporary)]
        n_cached = 0
        for kind in os.scandir(self.folder / CACHE):
            for entry in os.scandir(kind.path):
                n_cached += 1
                if entry.name.startswith("."):
                    left.append(entry.name)
        if n_cached > MOST_CACHED:
            self._empty_cache()
        return Outcome("left", ", ".join(left)) if left else None

    def _empty_cache(self) -> None:
        for path in (self.folder / CACHE).rglob("*"):
            if path.is_file():
                path.unlink()


def _described(error: BaseException) -> str:
    """Type, message and the last places of ours in the traceback."""
    places = [
        f"{Path(frame.filename).name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return f"{type(error).__name__}: {ascii(str(error))[:200]} at {' > '.join(places[-4:])}"


def main() -> None:
    """Take a job and do it."""
    said = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    job = json.loads(sys.stdin.readline())
    folder = Path(job["folder"])
    output = folder / "output"
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ["TMPDIR"] = str(folder / "temporary")
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # ONNX Runtime leaves a file for it, and calls home
    target = by_name(job["target"])
    bench = Bench(target, folder, output)
    seeds = [(seed["name"], base64.b64decode(seed["content"])) for seed in job["seeds"]]
    if job["once"]:
        _once(bench, seeds[0], said)
    else:
        _many(bench, seeds, job, said)


def _tell(said: TextIO, **what: Any) -> None:
    said.write(json.dumps(what) + "\n")
    said.flush()


def _warm_up(bench: Bench, seeds: list[tuple[str, bytes]]) -> None:
    """Read honest files, so that what is loaded once is loaded; then bound the memory."""
    for name, content in seeds:
        outcome = bench.read(name, content)
        if outcome.kind != "read":
            raise AssertionError(f"the honest file {name} is not read: {outcome}")
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _megabytes() -> float:
    """The most memory that this process has had; what `resource` tells begins with its parent's."""
    with Path("/proc/self/status").open("rb") as file:
        line = next(line for line in file if line.startswith(b"VmHWM:"))
    return int(line.split()[1]) / 1024


def _once(bench: Bench, mutant: tuple[str, bytes], said: TextIO) -> None:
    """Read a mutant in a process of its own, without watching lines."""
    honest = [(name, content) for name, content in bench.target.seeds().items()]
    _warm_up(bench, honest)
    before = _megabytes()
    _tell(said, begin=0)
    outcome = bench.read(*mutant)
    grown = _megabytes() - before
    if outcome.kind in FINE and grown > MOST_MEGABYTES:
        outcome = Outcome("memory", f"{grown:.0f} MB more")
    _tell(said, outcome=outcome._asdict(), megabytes=round(grown, 1))


def _many(bench: Bench, seeds: list[tuple[str, bytes]], job: dict[str, Any], said: TextIO) -> None:
    """Mutate and read, and tell of what reaches new lines or is wrong."""
    watch = lines.Watch(lines.modules_of(bench.target.modules), map(tuple, job["reached"]))
    with watch.watching():
        _warm_up(bench, seeds[: job["honest"]])
    _tell(said, reached=sorted(watch.reached), lines=len(watch.lines))
    before = _megabytes()
    for k in range(job["start"], job["stop"]):
        random = Random(f"{job['seed']}/{bench.target.name}/{k}")  # noqa: S311  # no secret
        name, content = random.choice(seeds if random.randrange(5) > 1 else seeds[-RECENT:])
        others = [held for other, held in seeds if _kind(other) == _kind(name)]
        mutant = mutated(random, content, others, bench.target.all_mutators())
        (bench.folder / "current").write_bytes(mutant)
        _tell(said, begin=k, name=name)
        n_reached = len(watch.reached)
        with watch.watching():
            outcome = bench.read(name, mutant)
        grown = _megabytes() - before
        if outcome.kind in FINE and grown > MOST_MEGABYTES:
            outcome = Outcome("memory", f"{grown:.0f} MB more than at the beginning")
        told: dict[str, Any] = {"end": k, "kind": outcome.kind}
        if outcome.kind not in FINE:
            told["detail"] = outcome.detail
            told["content"] = base64.b64encode(mutant).decode()
        elif len(watch.reached) > n_reached:
            seeds.append((name, mutant))
            told |= {"reached": sorted(watch.reached), "seed": name}
            told["content"] = base64.b64encode(mutant).decode()
        _tell(said, **told)
        if outcome.kind == "memory":
            return  # the peak stays; another process goes on


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
