"""A short form of `python -m benchmarks.torture.fuzz`: the same functions, 10,000 mutants."""

import base64
import json
import zlib
from random import Random

import pytest
from benchmarks.torture import fuzz
from benchmarks.torture.fuzzing import campaign as campaigns
from benchmarks.torture.fuzzing import lines, mutators, structured, targets
from benchmarks.torture.fuzzing.campaign import Campaign, State, as_json
from benchmarks.torture.fuzzing.targets import TARGETS, Target, by_name

N_MUTANTS = 10_000
# Shares of the lines of the functions that read each kind of file, which so few mutants reach.
LEAST_COVERAGE = {
    "idx": 0.75,
    "npz": 0.8,
    "csv": 0.8,
    "parquet": 0.75,
    "image": 0.8,
    "onnx": 0.8,
    "names": 0.6,
    "cache": 0.7,
    "keras": 0.5,
}


def test_no_mutant_of_any_kind_of_file_does_harm(capsys):
    found = fuzz.fuzz(TARGETS, N_MUTANTS)
    figures = fuzz.summary(found)
    with capsys.disabled():
        print("\n" + fuzz.table(figures))
    assert sum(one["mutants"] for one in figures.values()) >= N_MUTANTS - len(TARGETS)
    assert {name: one["findings"] for name, one in figures.items() if one["findings"]} == {}
    covered = {name: one["lines_reached"] / one["lines"] for name, one in figures.items()}
    too_low = {name: share for name, share in covered.items() if share < LEAST_COVERAGE[name]}
    assert too_low == {}, {name: figures[name]["not_reached"] for name in too_low}


# -- the fuzzer itself -----------------------------------------------------------------


def run(target: str, n_mutants: int, state: State | None = None, seed: int = 5) -> Campaign:
    campaign = Campaign(by_name(target), seed, state)
    campaign.run(n_mutants, until=float("inf"))
    return campaign


def test_the_same_seed_gives_the_same_mutants_also_after_an_interruption():
    whole = run("idx", 200).state
    part = run("idx", 80).state
    resumed = State.of(json.loads(json.dumps(as_json(part))))
    resumed = run("idx", 200, resumed).state
    for state in (whole, resumed):
        assert state.done == sum(state.kinds.values()) == 200
        assert state.findings == []
    assert whole.seeds == resumed.seeds
    assert whole.reached == resumed.reached
    assert whole.kinds == resumed.kinds
    assert run("idx", 200, seed=6).state.seeds != whole.seeds


HARMFUL = {
    "crash by SIGSEGV": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "hang": "import time; time.sleep(60)",
    "end with 3": "import os; os._exit(3)",
    "slow": "import time; end = time.process_time() + 2.5\nwhile time.process_time() < end: pass",
    "memory": "x = bytearray(400 << 20); x[::4096] = x[::4096]",
    "exception": "1 / 0",
    "kind": "from apparel.core.errors import UsageError; raise UsageError('a message.')",
    "message": "from apparel.core.errors import DataError; raise DataError('two\\nlines.')",
    "printed": "import os; os.write(2, b'a warning of native code')",
    "left": "import tempfile; tempfile.mkstemp()",
}


@pytest.fixture
def harmful(monkeypatch):
    """Make files that do harm when they are read: the child reads them as Python."""
    monkeypatch.setattr(campaigns, "SILENCE_SECONDS", 4.0)
    return lambda code: campaigns.once(targets.PYTHON, "mutant.py", code.encode())


@pytest.mark.parametrize("kind", HARMFUL)
def test_whatever_a_reader_does_wrong_is_seen(harmful, kind):
    outcome = harmful(HARMFUL[kind])
    assert outcome["kind"] == kind.partition(" ")[0]
    assert outcome["detail"].startswith(kind) or " " not in kind


def test_a_reader_that_does_nothing_wrong_is_left_alone(harmful):
    assert harmful("pass")["kind"] == "read"
    refusal = "from apparel.core.errors import DataError; raise DataError('no. Do this.')"
    assert harmful(refusal) == {"kind": "refused", "detail": "no. Do this."}


def test_what_was_found_can_be_replayed(tmp_path, monkeypatch, capsys):
    kept = {"target": "csv", "name": "a.csv", "content": base64.b64encode(b"x").decode()}
    (tmp_path / "finding.json").write_text(json.dumps(kept))
    monkeypatch.setattr("sys.argv", ["fuzz", "--replay", str(tmp_path / "finding.json")])
    assert fuzz.main() == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "refused"


def test_lines_are_counted_once_they_are_reached(tmp_path, monkeypatch):
    (tmp_path / "watched_by_a_test.py").write_text(
        "import os\n\n\ndef f(x):\n    if x:\n        return [k for k in range(3)]\n"
        "    return None\n\n\nclass A:\n    b = 1\n\n    def g(self):\n        return 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (module,) = lines.modules_of(["watched_by_a_test"])
    watch = lines.Watch([module])
    assert watch.missing() == {"watched_by_a_test": [5, 6, 7, 14]}
    with watch.watching():
        module.f(0)
        module.f(0)
    assert watch.missing() == {"watched_by_a_test": [6, 14]}
    with watch.watching():
        module.f(1)
        module.A().g()
    assert watch.by_module() == {"watched_by_a_test": (4, 4)}
    again = lines.Watch([module], [("watched_by_a_test", 6)])
    assert again.by_module() == {"watched_by_a_test": (1, 4)}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_mutators_change_files_and_keep_them_small(target: Target):
    seeds = list(target.seeds().items())
    contents = [content for _, content in seeds]
    for mutator in set(target.all_mutators()):
        changed = 0
        for k in range(30):
            random = Random(k)  # noqa: S311  # no secret
            content = random.choice(contents)
            changed += mutator(random, content, contents) != content
        assert changed > 4
    for k in range(50):
        random = Random(k)  # noqa: S311  # as above
        mutant = mutators.mutated(random, contents[0], contents, target.all_mutators())
        assert len(mutant) <= mutators.MOST_BYTES


def test_what_is_around_the_damage_stays_right():
    random = Random(0)  # noqa: S311  # as above
    files = {name: list(by_name(name).seeds().values()) for name in ("onnx", "image")}
    for model in files["onnx"]:
        assert b"".join(structured._field(*one) for one in structured._fields(model)) == model
    png = next(content for content in files["image"] if content.startswith(b"\x89PNG"))
    for _ in range(20):
        changed = structured.png_chunk(random, png, [png])
        at = 8
        while at < len(changed):
            size = int.from_bytes(changed[at : at + 4], "big")
            body = changed[at + 4 : at + 8 + size]
            assert zlib.crc32(body) == int.from_bytes(
                changed[at + 8 + size : at + 12 + size], "big"
            )
            at += 12 + size
