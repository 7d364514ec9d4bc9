"""docs/your-images.md: every block runs, in order, and the model is as good as it should be."""

import json
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from benchmarks.serving.server import serving
from scipy.stats import binom

from tests.conftest import run_command

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).parent.parent / "docs" / "your-images.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", PAGE, flags=re.DOTALL)
MAKE, PREDICT = (code for kind, code in BLOCKS if kind == "python")
CHECK, RUN, CLASSIFY, SERVE, ASK = (code for kind, code in BLOCKS if kind == "sh")


def command(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program, *arguments = line.split()
    assert program == "apparel"
    return run_command(*arguments, cwd=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first three steps were taken."""
    folder = tmp_path_factory.mktemp("guide")
    subprocess.run([sys.executable, "-c", MAKE], cwd=folder, check=True)
    checked = command(CHECK, folder)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    found = json.loads((folder / "check.json").read_text())
    assert sum(map(sum, found["images_per_class"].values())) == 1797
    done = command(RUN, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_digits_are_read_well(folder: Path) -> None:
    metrics = json.loads((folder / "digits" / "metrics.json").read_text())
    assert metrics["accuracy"]["value"] >= 0.97
    report = (folder / "digits" / "report.html").read_text()
    assert "<h1>cnn on photos</h1>" in report
    settings = json.loads((folder / "digits" / "settings.json").read_text())
    assert settings["img_shape"] == [8, 8, 1]
    assert metrics["n"] == sum(settings["dataset"]["images_per_class"]["test"])
    low, high = binom.interval(0.9999, 1797, 0.2)  # the default --test-split
    assert low <= metrics["n"] <= high


def test_what_is_passed_on_does_not_tell_where_the_data_lie(folder: Path) -> None:
    facts = onnx.load(folder / "digits" / "model.onnx").metadata_props
    (dataset,) = [json.loads(fact.value) for fact in facts if fact.key == "dataset"]
    assert dataset["source"] == "photos"
    assert str(folder) not in (folder / "digits" / "README.md").read_text()


def test_files_are_classified(folder: Path) -> None:
    done = command(CLASSIFY, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("photos/3/") == 183
    printed = subprocess.run(
        [sys.executable, "-c", PREDICT], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[0] for line in printed.splitlines()] == ["3", "7"]


def test_the_server_answers(folder: Path, tmp_path: Path) -> None:
    program, model = SERVE.split()[1:]
    assert program == "serve"
    with serving(folder / model, tmp_path) as server:
        name = re.search(r"@(\S+)", ASK)[1]
        (found,) = server.predict((name, (folder / name).read_bytes())).json["predictions"]
        assert found["label"] == "3"
        assert ASK.strip() == f"curl -F files=@{name} http://127.0.0.1:8000/predict"
