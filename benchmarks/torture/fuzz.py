"""Mutated files of every kind that is read: no crash, no hang, no traceback, bounded memory.

    python -m benchmarks.torture.fuzz --mutants 100000
    python -m benchmarks.torture.fuzz --mutants 2000 --targets idx csv
    python -m benchmarks.torture.fuzz --replay FINDING.json

Mutants that reach new lines are mutated further. The same seed gives the same mutants. A run that
is interrupted goes on where it was, by the file beside its output; --minutes bounds it. Files that
were found to do harm are written beside the output as well, each with what --replay needs. Exits
with 1 where there are any.
"""

import argparse
import base64
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apparel.core.atomic_files import write_text
from benchmarks.record import FOLDER, measure
from benchmarks.torture.fuzzing.campaign import Campaign, Finding, State, as_json, once
from benchmarks.torture.fuzzing.targets import TARGETS, Target, by_name

SAVE_SECONDS = 20.0


def shares(targets: Sequence[Target], n_mutants: int) -> dict[str, int]:
    """Divide mutants among targets."""
    whole = sum(target.share for target in targets)
    return {target.name: round(n_mutants * target.share / whole) for target in targets}


def fuzz(
    targets: Sequence[Target],
    n_mutants: int,
    *,
    seed: int = 0,
    state: Path | None = None,
    minutes: float = 600.0,
) -> dict[str, Campaign]:
    """Try mutants of several kinds of files.

    Args:
        targets: the kinds.
        n_mutants: of all kinds together.
        seed: decides on the mutants.
        state: a file from which to go on, and to go on from later; None for neither.
        minutes: after which it stops.

    Returns:
        The name of each kind, and what was found.
    """
    known = _known(state, seed)
    until = time.monotonic() + 60 * minutes
    campaigns = {target.name: Campaign(target, seed, known.get(target.name)) for target in targets}

    def save() -> None:
        if state is not None:
            states = {**known, **{name: one.state for name, one in campaigns.items()}}
            written = {name: as_json(one) for name, one in states.items()}
            write_text(state, json.dumps({"seed": seed, "targets": written}))

    wanted = shares(targets, n_mutants)
    for name, campaign in campaigns.items():
        while campaign.state.done < wanted[name] and time.monotonic() < until:
            campaign.run(wanted[name], until=min(until, time.monotonic() + SAVE_SECONDS), save=save)
    return campaigns


def _known(state: Path | None, seed: int) -> dict[str, State]:
    """States of an earlier run with the same seed."""
    if state is None or not state.exists():
        return {}
    written = json.loads(state.read_text(encoding="utf-8"))
    if written["seed"] != seed:
        return {}
    return {name: State.of(one) for name, one in written["targets"].items()}


def findings(campaigns: Mapping[str, Campaign]) -> list[Finding]:
    """Everything that was found."""
    return [finding for campaign in campaigns.values() for finding in campaign.state.findings]


def summary(campaigns: Mapping[str, Campaign]) -> dict[str, dict[str, Any]]:
    """Figures of each kind of file."""
    found = {}
    for name, campaign in campaigns.items():
        state, modules = campaign.state, campaign.coverage()
        reached, lines = (sum(counts) for counts in zip(*modules.values(), strict=True))
        found[name] = {
            "mutants": state.done,
            "per_second": round(state.done / state.seconds, 1) if state.seconds else None,
            "outcomes": state.kinds,
            "kept_as_seeds": len(state.seeds),
            "lines_reached": reached,
            "lines": lines,
            "modules": {module: list(counts) for module, counts in modules.items()},
            "not_reached": campaign.missing(),
            "unconfirmed": state.unconfirmed,
            "findings": [{"kind": f.kind, "detail": f.detail, "number": f.number, "file": f.name}
                         for f in state.findings],
        }  # fmt: skip
    return found


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures as lines for people."""
    lines = [f"{'target':10}{'mutants':>9}{'a second':>10}{'seeds':>7}{'lines':>12}  outcomes"]
    for name, one in found.items():
        covered = f"{one['lines_reached']}/{one['lines']}"
        outcomes = ", ".join(f"{kind} {count}" for kind, count in sorted(one["outcomes"].items()))
        lines.append(
            f"{name:10}{one['mutants']:>9}{one['per_second'] or 0:>10}{one['kept_as_seeds']:>7}"
            f"{covered:>12}  {outcomes}"
        )
    return "\n".join(lines)


def torture(n_mutants: int, *, state: Path | None = None) -> dict[str, object]:
    """Fuzz all kinds of files.

    Args:
        n_mutants: of all kinds together.
        state: a file by which an interrupted run goes on.

    Returns:
        The figures of each kind; under "holds", whether nothing was found.
    """
    campaigns = fuzz(TARGETS, n_mutants, state=state)
    return {"holds": not findings(campaigns), "targets": summary(campaigns)}


def _replay(path: Path) -> int:
    """Read the file of a finding once more."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    content = base64.b64decode(kept["content"])
    outcome = once(by_name(kept["target"]), kept["name"], content)
    print(json.dumps(outcome))
    return int(outcome["kind"] not in {"read", "refused"})


def main() -> int:
    """Fuzz, write down, and say what was found."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.torture.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [target.name for target in TARGETS]
    parser.add_argument("--mutants", type=int, default=100_000, help="of all kinds together")
    parser.add_argument("--targets", nargs="+", choices=names, default=names, metavar="KIND")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=120.0, help="after which it stops")
    parser.add_argument("--output", type=Path, default=default_output())
    parser.add_argument("--replay", type=Path, metavar="FINDING.json")
    asked = parser.parse_args()
    if asked.replay:
        return _replay(asked.replay)
    state = asked.output.with_suffix(".state.json")
    chosen = [by_name(name) for name in asked.targets]
    campaigns = fuzz(chosen, asked.mutants, seed=asked.seed, state=state, minutes=asked.minutes)
    found = summary(campaigns)
    for k, finding in enumerate(findings(campaigns)):
        path = asked.output.with_suffix(f".finding-{k}.json")
        write_text(path, json.dumps(finding.__dict__))
        print(
            f"{finding.target} {finding.kind} {finding.detail}\n    --replay {path}",
            file=sys.stderr,
        )
    written = {
        "command": f"python -m benchmarks.torture.fuzz --mutants {asked.mutants}",
        "seed": asked.seed,
        "machine": measure("machine"),
        "targets": found,
    }
    write_text(asked.output, json.dumps(written, indent=1) + "\n")
    print(table(found))
    wanted = shares(chosen, asked.mutants)
    if all(one.state.done >= wanted[name] for name, one in campaigns.items()):
        state.unlink(missing_ok=True)
    else:
        print(f"The time is up; the same command goes on from {state}.")
    return int(bool(findings(campaigns)))


def default_output() -> Path:
    """Today's results."""
    return FOLDER / "results" / f"fuzz-{datetime.now(UTC):%Y-%m-%d}.json"


if __name__ == "__main__":
    sys.exit(main())
