"""Runs mutants of a target in processes of their own, and keeps what they found.

The same seed gives the same mutants: mutant k depends on the seed, the target, k, and the mutants
before it that reached new lines. So a campaign that was interrupted goes on where it was.
"""

import base64
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.torture.fuzzing.child import FINE
from benchmarks.torture.fuzzing.lines import Line, Watch, modules_of
from benchmarks.torture.fuzzing.targets import Target

ROOT = Path(__file__).parents[3]
# A process that says nothing for so long is stopped. What it was at is then tried alone, where
# `child.MOST_SECONDS` of the processor's time count.
SILENCE_SECONDS = 20.0
START_SECONDS = 180.0
# Of each kind and place, so many findings are kept with their files.
KEPT_ALIKE = 2
# Processes that die one after the other without having tried a mutant.
MOST_FALSE_STARTS = 3


@dataclass(kw_only=True)
class Finding:
    """A mutant that was neither read nor refused as it should be.

    Attributes:
        target: of the mutant.
        number: of the mutant.
        name: of its file.
        kind: what is wrong.
        detail: of what is wrong.
        content: of the file, in base 64.
    """

    target: str
    number: int
    name: str
    kind: str
    detail: str
    content: str

    @property
    def place(self) -> tuple[str, str]:
        """What findings of the same cause have in common."""
        return self.kind, self.detail.rpartition(" at ")[2] if " at " in self.detail else ""


@dataclass(kw_only=True)
class State:
    """How far a target has come.

    Attributes:
        done: mutants.
        kinds: what became of them: how many.
        seeds: names and contents, in base 64, of mutants that reached new lines.
        reached: lines.
        findings: those that are kept.
        alike: of each kind and place, how many there were.
        unconfirmed: what went wrong once, but not when it was tried alone.
        seconds: that it took.
    """

    done: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    seeds: list[dict[str, str]] = field(default_factory=list)
    reached: list[Line] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    alike: dict[str, int] = field(default_factory=dict)
    unconfirmed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> "State":
        """Take up a state that was written as JSON."""
        state = cls(**written)
        state.findings = [Finding(**one) for one in written["findings"]]
        state.reached = [(name, line) for name, line in written["reached"]]
        return state


class Campaign:
    """Mutants of one target."""

    def __init__(self, target: Target, seed: int, state: State | None = None) -> None:
        self.target, self.seed = target, seed
        self.state = state or State()
        self._honest = _packed(target.seeds())
        self._name = ""  # of the mutant that was begun

    def run(self, n_mutants: int, *, until: float, save: Callable[[], None] = lambda: None) -> None:
        """Try mutants up to a number.

        Args:
            n_mutants: the number, those before included.
            until: by `time.monotonic`; then it stops, to be taken up later.
            save: is called now and then.
        """
        false_starts = 0
        while self.state.done < n_mutants and time.monotonic() < until:
            before, started = self.state.done, time.monotonic()
            self._one_process(n_mutants, until)
            self.state.seconds += time.monotonic() - started
            save()
            false_starts = false_starts + 1 if self.state.done == before else 0
            if false_starts == MOST_FALSE_STARTS:
                raise RuntimeError(f"the process for {self.target.name} does not begin")

    def coverage(self) -> dict[str, tuple[int, int]]:
        """Of each module, the lines that were reached and all."""
        return self._watch().by_module()

    def missing(self) -> dict[str, list[int]]:
        """Of each module, the lines that were not reached."""
        return self._watch().missing()

    def _watch(self) -> Watch:
        return Watch(modules_of(self.target.modules), self.state.reached)

    def _one_process(self, n_mutants: int, until: float) -> None:
        """Try mutants in a process, as long as it lives."""
        job = {
            "target": self.target.name,
            "seed": self.seed,
            "start": self.state.done,
            "stop": n_mutants,
            "once": False,
            "honest": len(self._honest),
            "seeds": [*self._honest, *self.state.seeds],
            "reached": self.state.reached,
        }
        with tempfile.TemporaryDirectory() as folder:
            begun: dict[str, Any] | None = None
            for told, why in _watched(job, Path(folder), until):
                if told is not None:
                    begun = told if "begin" in told else None
                    self._note(told)
                elif begun is not None and why != "time":
                    current = Path(folder, "current").read_bytes()
                    self._suspect(begun["begin"], begun["name"], why, current)
                    self.state.done = begun["begin"] + 1
                elif why not in {"", "time"}:
                    print(f"{self.target.name}: {why}", file=sys.stderr)

    def _note(self, told: Mapping[str, Any]) -> None:
        """Take note of what the process says."""
        state = self.state
        if "reached" in told:
            state.reached = [(name, line) for name, line in told["reached"]]
        if "begin" in told:
            self._name = told["name"]
        if "end" not in told:
            return
        state.done = told["end"] + 1
        if "seed" in told:
            state.seeds.append({"name": told["seed"], "content": told["content"]})
        if told["kind"] in FINE:
            state.kinds[told["kind"]] = state.kinds.get(told["kind"], 0) + 1
        else:
            content = base64.b64decode(told["content"])
            self._suspect(told["end"], self._name, f"{told['kind']}: {told['detail']}", content)

    def _suspect(self, number: int, name: str, why: str, content: bytes) -> None:
        """Try a mutant once more, alone, and keep it if something is wrong again."""
        outcome = once(self.target, name, content)
        state = self.state
        if outcome["kind"] in FINE:
            state.unconfirmed.append(f"mutant {number} ({name}): {why[:300]}")
            outcome_kind = outcome["kind"]
            state.kinds[outcome_kind] = state.kinds.get(outcome_kind, 0) + 1
            return
        finding = Finding(
            target=self.target.name,
            number=number,
            name=name,
            kind=outcome["kind"],
            detail=outcome["detail"],
            content=base64.b64encode(content).decode(),
        )
        state.kinds[finding.kind] = state.kinds.get(finding.kind, 0) + 1
        place = " ".join(finding.place)
        state.alike[place] = state.alike.get(place, 0) + 1
        if state.alike[place] <= KEPT_ALIKE:
            state.findings.append(finding)


def once(target: Target, name: str, content: bytes) -> dict[str, str]:
    """Read one file in a process of its own.

    Returns:
        Under "kind", what became of it; under "detail", what is wrong.
    """
    job = {
        "target": target.name,
        "once": True,
        "seeds": [{"name": name, "content": base64.b64encode(content).decode()}],
    }
    with tempfile.TemporaryDirectory() as folder:
        for told, why in _watched(job, Path(folder), time.monotonic() + START_SECONDS):
            if told is not None and "outcome" in told:
                return dict(told["outcome"])
            if told is None:
                return {"kind": why.partition(" ")[0] or "gone", "detail": why}
    raise AssertionError("a process ends with an outcome or without")


def _watched(
    job: dict[str, Any], folder: Path, until: float
) -> Iterator[tuple[dict[str, Any] | None, str]]:
    """Start a process for a job and listen to it.

    Yields:
        What it says; and last None, and why it ended: nothing where it was through, "time" where
        the time is up.
    """
    job = {**job, "folder": os.fspath(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.torture.fuzzing.child"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    try:
        with process.stdin:
            process.stdin.write(json.dumps(job).encode() + b"\n")
        patience, rest = START_SECONDS, b""
        while True:
            ready, _, _ = select.select([process.stdout], [], [], patience)
            block = os.read(process.stdout.fileno(), 1 << 20) if ready else b""
            if not block:
                break
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                told = json.loads(line)
                if "begin" in told or "reached" in told:
                    patience = SILENCE_SECONDS
                yield told, ""
            if time.monotonic() > until:
                yield None, "time"
                return
        if ready:
            yield None, _ending(process.wait(), folder)
        else:
            yield None, f"hang of {patience:.0f} seconds"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _ending(code: int, folder: Path) -> str:
    """How a process ended."""
    if code == 0:
        return ""
    printed = (folder / "output").read_bytes()[-1500:] if (folder / "output").exists() else b""
    if code < 0:
        return f"crash by {signal.Signals(-code).name}: {printed[-300:]!a}"
    return f"end with {code}: {printed.decode(errors='replace')}"


def _packed(files: Mapping[str, bytes]) -> Sequence[dict[str, str]]:
    return [
        {"name": name, "content": base64.b64encode(content).decode()}
        for name, content in files.items()
    ]


def as_json(state: State) -> dict[str, Any]:
    """A state in plain types."""
    return asdict(state)
