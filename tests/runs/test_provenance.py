"""The provenance of a run is read back, and compared with that of the process that resumes it."""

from dataclasses import asdict

import pytest

from apparel.core.backend import NumberFormat
from apparel.core.errors import DataError, ModelFileError
from apparel.core.recipes import RECIPES, Plan
from apparel.runs.provenance import Provenance

PLAN = Plan(
    model_name="fast", width=8, images_per_second=10.0, passes=2.5, seconds=9.0,
    validation_seconds=1.0,
)  # fmt: skip
RECORD = {
    "recipe": asdict(RECIPES["fast"]),
    "plan": asdict(PLAN),
    "number_format": {"policy": "float32", "reason": "asked for"},
    "dataset": {"sha256": "abc"},
    "versions": {"apparel": "0.1.0", "keras": "3.15.1"},
    "processor": "one",
}


def test_it_is_read_as_it_was_written_or_refused():
    then = Provenance.of(RECORD)
    assert then.plan == PLAN
    assert then.number_format == NumberFormat("float32", "asked for")
    assert Provenance.of({**RECORD, "plan": None}).plan is None
    for record in ({"recipe": RECORD["recipe"]}, {**RECORD, "plan": {"hours": 3}}):
        with pytest.raises(ModelFileError, match=r"does not say how training began .*(plan|hours)"):
            Provenance.of(record)


def test_training_goes_on_with_the_same_images_and_recipe_only():
    then = Provenance.of(RECORD)
    then.check(RECIPES["fast"], {"sha256": "abc", "source": "elsewhere"})
    with pytest.raises(DataError, match="their SHA-256 is abd, and was abc"):
        then.check(RECIPES["fast"], {"sha256": "abd"})
    with pytest.raises(
        ModelFileError, match=r"another version .* Install apparel 0\.1\.0 to resume"
    ):
        then.check(RECIPES["best"], {"sha256": "abc"})


def test_what_has_changed_is_said_in_a_line():
    then = Provenance.of(RECORD)
    assert then.changes(RECORD["versions"], "one") == ""
    assert then.changes({"apparel": "0.1.0", "numpy": "2"}, "two") == (
        "Not as it was when training began, so the last bits may differ: "
        "keras was 3.15.1, is none, numpy was none, is 2, processor was one, is two\n"
    )
