"""The command: what it accepts, what it refuses, how it says so, and what it loads."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scripts import write_help

import apparel
from apparel.core.errors import ApparelError, DataUnavailableError, UsageError
from apparel.data import loading
from tests.conftest import Command, Result, run_command

TRAINING = ("tensorflow", "keras", "matplotlib", "sklearn", "scipy")
Run = tuple[Path, Result]


@pytest.fixture(scope="session")
def clothes() -> None:
    """Fill Keras's cache, as the first command to do so says where the files are from."""
    loading.load("fashion-mnist", limit=10)


@pytest.fixture
def folder(clothes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run that went no further than its settings, and other things."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear all")
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    Image.new("L", (28, 28)).save(tmp_path / "picture.png")
    run = tmp_path / "run"
    run.mkdir()
    record = {
        "settings": {"limit": 100},
        "class_names": ["a", "b"],
        "img_shape": [28, 28, 1],
        "dataset": {"source": "fashion-mnist"},
    }
    (run / "settings.json").write_text(json.dumps(record))
    (run / "model.onnx").write_bytes(b"no model")
    (run / "model.keras").write_bytes(b"no model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def one_line(arguments: str, folder: Path) -> tuple[int, str]:
    """Run a command that must change nothing and say so in one line; give code and line."""
    before = sorted(folder.rglob("*"))
    result = run_command(*arguments.split(), cwd=folder)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert sorted(path for path in folder.rglob("*") if path.name != "runs") == before
    return result.returncode, result.stderr


USAGE, DATA, MODEL_FILE = 2, 3, 4


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (USAGE, "run --epochs 1.5", "argument --epochs: invalid int value: '1.5'"),
        (USAGE, "run --width 8", "the model cnn has one size"),
        (USAGE, "run --data mnist", "mnist"),
        (USAGE, "run --run-dir full", "full is not empty"),
        (USAGE, "run --run-dir file/below", "file/below cannot be written"),
        (USAGE, "run --save model.h5", "model.h5 ends in '.h5', which names no model format"),
        (USAGE, "run --save /proc/model.keras", "/proc/model.keras cannot be written"),
        (USAGE, "run --workers 2", "--workers needs a Ray cluster"),
        (USAGE, "run --ray", "--ray has no effect without --seeds or --workers"),
        (USAGE, "run --seeds 1", "--seeds must be a whole number of at least 2"),
        (USAGE, "run --seeds 2 --seed 4294967295", "seed must be below 2**32"),
        (USAGE, "run --seeds 2 --workers 2 --ray", "--seeds and --workers were both given"),
        (USAGE, "run --seeds 2 --overwrite", "goes with neither --save nor --overwrite"),
        (USAGE, "check fashion-mnist --max-bad 0.1", "unrecognized arguments: --max-bad 0.1"),
        (
            USAGE,
            "check fashion-mnist --output full/letter.txt",
            "written as .json, not to full",
        ),
        (
            USAGE,
            "check fashion-mnist --fix full/letter.txt",
            "a file that ends in .csv, not",
        ),
        (
            USAGE,
            "check fashion-mnist --limit 100 --fix a.csv",
            "--fix works for folders and",
        ),
        (USAGE, "export run --format tflite", "argument --format: invalid choice: 'tflite'"),
        (USAGE, "export run --format onnx --output model.keras", "needs a file that ends in .onnx"),
        (USAGE, "export run --format keras --int8", "the format keras has no int8"),
        (USAGE, "predict run a.png --ray --explain d", "--explain makes pictures on this machine"),
        (USAGE, "frobnicate", "invalid choice: 'frobnicate'"),
        (MODEL_FILE, "predict run/model.onnx picture.png", "is no ONNX file, or a damaged one"),
        (MODEL_FILE, "evaluate empty", "empty is not a run directory"),
        (MODEL_FILE, "evaluate run", "run has no weights.safetensors"),
        (MODEL_FILE, "export run", "run has no weights.safetensors"),
        (MODEL_FILE, "resume empty", "empty is not a run directory"),
        (USAGE, "predict run picture.png --top-k 0", "--top-k must be a whole number of at least"),
        (USAGE, "predict run picture.png --threshold 1.5", "--threshold must lie in 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    code: int, arguments: str, message: str, folder: Path
) -> None:
    found, error = one_line(arguments, folder)
    assert found == code
    assert message in error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "apparel: interrupted\n"),
        (DataUnavailableError("no source"), 5, "apparel: no source\n"),
        (ApparelError("no"), 1, "apparel: no\n"),
        (OSError(28, "No space left on device", "run/x"), 1,
         "apparel: run/x: No space left on device. Free some space and try again\n"),
        (ModuleNotFoundError("", name="keras"), 1,
         "apparel: apparel export needs the package keras, which is not installed. It comes with "
         "the training extra: pip install 'apparel[cpu]'\n"),
        (ZeroDivisionError("oh"), 1,
         "apparel: unexpected ZeroDivisionError: oh. --debug shows where\n"),
    ],
)  # fmt: skip
def test_every_error_ends_in_one_line_and_its_exit_code(
    error: BaseException, code: int, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("apparel.cli.export.export_run", fail)
    assert one_line("export run", folder) == (code, message)
    shown = run_command("export", "run", "--debug", cwd=folder)
    assert shown.returncode == code
    assert shown.stderr.startswith("Traceback")
    assert shown.stderr.endswith(message)


def test_a_reader_that_has_seen_enough_is_no_error(finished_run: Run, folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "apparel", "predict", finished_run[0], "picture.png"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()
    assert (process.returncode, error) == (0, "")


# -- what is loaded ---------------------------------------------------------------------------


def loaded(*arguments: object) -> set[str]:
    """The top-level packages that a command has loaded, by its end."""
    code = (
        "import sys, apparel\n"
        "from apparel.cli import main\n"
        "try: main.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    call = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_and_a_mistyped_source_load_nothing_heavy() -> None:
    assert not loaded("run", "--help") & {*TRAINING, "numpy", "onnxruntime", "PIL"}
    for command in ("run", "tune"):
        assert not loaded(command, "--data", "mistyped") & set(TRAINING)


def test_predict_and_check_load_nothing_that_trains(
    finished_run: Run, digits_file: Path, folder: Path
) -> None:
    assert not loaded("predict", finished_run[0], "picture.png") & set(TRAINING)
    # Copies of images are found by a tree of SciPy's.
    assert not loaded("check", digits_file) & set(TRAINING) - {"scipy"}


def test_the_documentation_shows_the_help_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert write_help.PAGE.read_text(encoding="utf-8") == write_help.page()


# -- check and predict ------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve different images of two classes, in a folder."""
    random = np.random.default_rng(0)
    for k in range(12):
        path = tmp_path / "photos" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (12, 12), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def test_check_says_in_its_exit_code_whether_the_data_are_clean(
    photos: Path, command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    clean = command("check", "photos")
    assert (clean.returncode, clean.stderr) == (0, "Reading 12 images\n")
    assert clean.stdout.endswith("Written: check.json\n")
    (photos / "b" / "0.png").write_bytes((photos / "a" / "0.png").read_bytes())
    conflict = command("check", "photos", "--fix", "clean.csv", "--split-seed", 4)
    assert conflict.returncode == 1
    assert conflict.stdout.endswith("Written: check.json\nWritten: clean.csv\n")
    rows = (photos.parent / "clean.csv").read_text().splitlines()[1:]
    assert sorted(row.split(",")[0] for row in rows) == sorted(
        f"photos/{'ab'[k % 2]}/{k}.png" for k in range(1, 12)
    )
    found = apparel.check(str(photos), image_size=9)
    assert not found.is_clean
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UsageError, match="no setting 'max_bad'"):
        apparel.check(str(photos), max_bad=0.5)


def test_a_bad_image_is_one_row(finished_run: Run, folder: Path) -> None:
    Image.effect_noise((28, 28), 50).save(folder / "good.png")
    bad = {
        "empty.png": (b"", "is empty: 0 bytes"),
        "hello.png": (b"hello", "is no image"),
        "part.png": ((folder / "good.png").read_bytes()[:300], "cannot be read as an image"),
    }
    for name, (content, _) in bad.items():
        (folder / name).write_bytes(content)
    arguments = ("predict", finished_run[0], "good.png", *bad, "--output", "o.csv")
    done = run_command(*arguments, cwd=folder)
    assert (done.returncode, done.stderr) == (3, "")
    lines = done.stdout.splitlines()
    assert (lines[3], lines[-1]) == ("Written: o.csv, 4 images", "3 of 4 images could not be read.")
    with (folder / "o.csv").open(encoding="utf-8", newline="") as file:
        good, *rows = csv.DictReader(file)
    assert not good["error"]
    for line, row, (name, (_, message)) in zip(lines[:3], rows, bad.items(), strict=True):
        assert line.startswith(name)
        assert f"  error: {message}" in line.replace(f"{name}: ", "")
        assert message in row["error"]
    code, error = one_line(f"predict {finished_run[0]} missing.png --output p.csv", folder)
    assert code == DATA
    assert "there is no file or folder missing.png" in error


# -- run, before anything is trained ------------------------------------------------------------


def test_a_failed_start_leaves_no_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def fail(source: str, **options: object) -> None:
        asked.append((source, options["data_dir"]))
        raise DataUnavailableError("no source has it")

    monkeypatch.setattr("apparel.data.loading.load", fail)
    monkeypatch.setattr("apparel.data.loading.check_source", lambda _: None)
    arguments = "run --data mine --data-dir folder --run-dir run"
    assert one_line(arguments, tmp_path) == (5, "apparel: no source has it\n")
    assert list(tmp_path.iterdir()) == []
    assert asked == [("mine", Path("folder"))]
