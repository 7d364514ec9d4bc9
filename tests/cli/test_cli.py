"""The command: what it accepts, what it refuses and how it says so."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from apparel.cli import main
from apparel.core.errors import ApparelError, DataUnavailableError
from apparel.runs import files

HEAVY = ("tensorflow", "keras", "matplotlib", "sklearn", "onnxruntime", "numpy")


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run directory as far as its settings go; its model is no model."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "settings.json").write_text(
        json.dumps(
            {
                "settings": {"limit": 100},
                "class_names": ["a", "b"],
                "img_shape": [28, 28, 1],
                "dataset": {"source": "fashion-mnist"},
            }
        )
    )
    (folder / "model.keras").write_bytes(b"no model")
    (folder / "model.onnx").write_bytes(b"no model")
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run --epochs 0", "epochs must be a whole number of at least 1, but is 0"),
        ("run --epochs -3", "epochs must be a whole number of at least 1, but is -3"),
        ("run --epochs 1.5", "argument --epochs: invalid int value: '1.5'"),
        ("run --budget 60", "budget must be a time above 0 with its unit"),
        ("run --budget 0s", "budget must be a time above 0"),
        ("run --budget 60s --epochs 2", "epochs and budget were both given"),
        ("run --patience 0", "patience must be a whole number of at least 1, but is 0"),
        ("run --patience 2 --weight-averaging 0.1", "patience keeps the weights of one epoch"),
        ("run --width 0", "width must be a whole number of at least 1, but is 0"),
        ("run --width 8", "the model cnn has one size"),
        ("run --model fast --weight-averaging 0.1", "the model fast keeps batch statistics"),
        ("run --batch-size 0", "batch_size must be a whole number of at least 1, but is 0"),
        ("run --seed -1", "seed must be a whole number of at least 0, but is -1"),
        ("run --seed 4294967296", "seed must be below 2**32, but is 4294967296"),
        ("run --limit 0", "limit must be a whole number of at least 1, but is 0"),
        ("run --limit 9", "limit"),
        ("run --model resnet", "argument --model: invalid choice: 'resnet'"),
        ("run --dtype int8", "argument --dtype: invalid choice: 'int8'"),
        ("run --data mnist", "mnist"),
        ("run --run-dir full", "full is not empty"),
        ("run --run-dir full --overwrite", "full holds files but is no run directory"),
        ("run --run-dir file", "file is a file"),
        ("run --run-dir file/below", "file/below cannot be written"),
        ("run --save model.h5", "model.h5 ends in '.h5', which names no model format"),
        ("run --save model", "model ends in no suffix"),
        ("run --save /proc/model.keras", "/proc/model.keras cannot be written"),
        ("check", "the following arguments are required: SOURCE"),
        ("check mnist", "there is no data source 'mnist'"),
        ("check fashion-mnist --limit 0", "limit must be a whole number of at least 1, but is 0"),
        ("check fashion-mnist --test-split 1", "test_split must lie between 0 and 1"),
        ("check fashion-mnist --image-size 0", "image_size must be a whole number of at least 1"),
        ("check fashion-mnist --max-bad 0.1", "unrecognized arguments: --max-bad 0.1"),
        ("check fashion-mnist --output full/letter.txt", "written as .json, not to full/letter"),
        ("check fashion-mnist --output /proc/a.json", "/proc/a.json cannot be written"),
        ("check fashion-mnist --fix full/letter.txt", "a file that ends in .csv, not full/letter"),
        ("check fashion-mnist --limit 100 --fix a.csv", "--fix works for folders and tables of"),
        ("export run --format tflite", "argument --format: invalid choice: 'tflite'"),
        ("export run --format onnx --output model.keras", "needs a file that ends in .onnx"),
        ("", "the following arguments are required: COMMAND"),
        ("frobnicate", "invalid choice: 'frobnicate'"),
    ],
)
def test_wrong_usage_is_refused_in_one_line(
    arguments: str, message: str, tmp_path: Path, run_folder: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    Path("full", "letter.txt").write_text("dear all")
    Path("file").write_text("text")
    before = sorted(tmp_path.rglob("*"))
    try:
        code = main.main(arguments.split())
    except SystemExit as stopped:
        code = stopped.code
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert sorted(p for p in tmp_path.rglob("*") if p.name != "runs") == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("predict run/model.onnx picture.png", 4, "is no ONNX file, or a damaged one"),
        ("predict run picture.png", 4, "is no ONNX file, or a damaged one"),
        ("predict missing.onnx picture.png", 4, "there is no model file missing.onnx"),
        ("predict empty picture.png", 4, "the folder empty holds no model.onnx"),
        ("predict run/model.keras picture.png", 4, "is a Keras file"),
        ("evaluate empty", 4, "empty is not a run directory"),
        ("evaluate run", 4, "run has no weights.safetensors"),
        ("export run", 4, "run has no weights.safetensors"),
        ("export missing", 4, "missing is not a run directory"),
    ],
)
def test_bad_model_files_are_refused_in_one_line(
    arguments: str, code: int, message: str, tmp_path: Path, run_folder: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Image.new("L", (28, 28)).save("picture.png")
    before = sorted(tmp_path.rglob("*"))
    assert main.main(arguments.split()) == code
    output, error = capsys.readouterr()
    assert message in error
    assert error.count("\n") == 1
    assert output == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: 0 bytes"),
        (b"hello", "is no image"),
        ("truncated", "cannot be read as an image"),
        (None, "there is no file or folder picture.png"),
    ],
)
def test_bad_images_are_refused_in_one_line(
    content: bytes | str | None, message: str, tmp_path: Path,
    finished_run: tuple[Path, object], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Image.effect_noise((28, 28), 50).save("good.png")
    if content == "truncated":
        content = Path("good.png").read_bytes()[:300]
    if isinstance(content, bytes):
        Path("picture.png").write_bytes(content)
    arguments = ["predict", str(finished_run[0]), "good.png", "picture.png", "--output", "o.csv"]
    assert main.main(arguments) == 3
    output, error = capsys.readouterr()
    if content is None:  # a name that is wrong stops the command before it begins
        assert message in error
        assert error.count("\n") == 1
        assert output == ""
        assert not Path("o.csv").exists()
        return
    assert error == ""
    bad, written, *_, last = output.splitlines()
    assert bad.startswith("picture.png  error: ")
    assert message in bad
    assert written == "Written: o.csv, 2 images"
    assert last == "1 of 2 images could not be read."
    with Path("o.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["error"]) for row in rows] == [False, True]
    assert message in rows[1]["error"]


def test_a_number_that_makes_no_sense_is_named(finished_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (28, 28)).save("i.png")
    for options, message in (
        (["--top-k", "0"], "--top-k must be a whole number of at least 1"),
        (["--threshold", "1.5"], "--threshold must lie in 0 to 1"),
        (["--output", "o.txt"], "end in .csv, .jsonl, .parquet"),
    ):
        assert main.main(["predict", str(finished_run[0]), "i.png", *options]) == 2
        assert message in capsys.readouterr().err


def test_weights_of_another_model_are_refused(
    finished_run: tuple[Path, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "settings.json").write_bytes((finished_run[0] / "settings.json").read_bytes())
    files.write_weights(run, {"00.dense.kernel": np.zeros((64, 3), np.float32)})
    for command in ("evaluate", "export"):
        assert main.main([command, str(run)]) == 4
        error = capsys.readouterr().err
        assert "the weights do not fit the model cnn: 00.conv2d.bias is missing" in error
        assert error.count("\n") == 1
    assert not (run / "model.onnx").exists()


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "apparel: interrupted\n"),
        (DataUnavailableError("no source"), 5, "apparel: no source\n"),
        (ApparelError("no"), 1, "apparel: no\n"),
        (OSError(28, "No space left on device", "run/x"), 1,
         "apparel: run/x: No space left on device. Free some space and try again\n"),
        (ZeroDivisionError("oh"), 1,
         "apparel: unexpected ZeroDivisionError: oh. --debug shows where\n"),
    ],
)  # fmt: skip
def test_every_error_ends_in_one_line_and_its_exit_code(
    error: BaseException, code: int, message: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("apparel.cli.export.export_run", fail)
    assert main.main(["export", "run"]) == code
    assert capsys.readouterr().err == message
    assert main.main(["export", "run", "--debug"]) == code
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith(message)


def test_a_failed_start_leaves_no_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DataUnavailableError("no source has it")

    monkeypatch.setattr("apparel.data.loading.load", fail)
    assert main.main(["run", "--run-dir", str(tmp_path / "run")]) == 5
    assert capsys.readouterr().err == "apparel: no source has it\n"
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_later_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "metrics.json")

    monkeypatch.setattr("apparel.runs.files.write_evaluation", full_disk)
    arguments = ["run", "--limit", "100", "--epochs", "1", "--run-dir", str(tmp_path / "run")]
    assert main.main(arguments) == 1
    assert "metrics.json: No space left on device" in capsys.readouterr().err.splitlines()[-1]
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["status"] == "failed"


def test_wrong_arguments_leave_an_old_run_as_it_was(
    finished_run: tuple[Path, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(finished_run[0], old)
    for wrong in (["--data", "mnist"], ["--limit", "3"], ["--epochs", "0"]):
        assert main.main(["run", "--run-dir", str(old), "--overwrite", *wrong]) == 2
        capsys.readouterr()
    left = {path.relative_to(old): path.read_bytes() for path in old.rglob("*") if path.is_file()}
    folder = finished_run[0]
    assert left == {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_reader_that_has_seen_enough_is_no_error(finished_run: tuple[Path, object]) -> None:
    code = "from apparel.cli import main; import sys; sys.exit(main.main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "evaluate", str(finished_run[0])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=100), error) == (0, "")


def test_a_folder_named_for_the_data_reaches_the_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def fail(source: str, **options: object) -> None:
        asked.append((source, options["data_dir"]))
        raise DataUnavailableError("no")

    monkeypatch.setattr("apparel.data.loading.load", fail)
    options = ["--data", "mine", "--data-dir", "folder", "--run-dir", str(tmp_path / "run")]
    assert main.main(["run", *options]) == 5
    assert asked == [("mine", Path("folder"))]


def test_import_and_help_load_nothing_heavy() -> None:
    code = (
        "import sys, apparel\n"
        "from apparel.cli import main\n"
        "try: main.main(['run', '--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    result = python(code)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_predict_loads_neither_tensorflow_nor_keras(
    finished_run: tuple[Path, object], tmp_path: Path
) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "black.png")
    code = (
        "import sys\n"
        "from apparel.cli import main\n"
        "assert main.main(['predict', *sys.argv[1:]]) == 0\n"
        "heavy = ('tensorflow', 'keras', 'matplotlib', 'sklearn')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    result = python(code, str(finished_run[0]), str(tmp_path / "black.png"))
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_check_loads_neither_tensorflow_nor_keras(tmp_path: Path) -> None:
    for k in range(12):
        path = tmp_path / "pictures" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((28, 28), 50).save(path)
    code = (
        "import sys\n"
        "from apparel.cli import main\n"
        "assert main.main(['check', *sys.argv[1:]]) == 0\n"
        "heavy = ('tensorflow', 'keras', 'matplotlib', 'sklearn', 'onnxruntime')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    arguments = [str(tmp_path / "pictures"), "--output", str(tmp_path / "found.json")]
    result = python(code, *arguments, APPAREL_CACHE=str(tmp_path / "cache"))
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


@pytest.mark.parametrize("command", ["run", "evaluate", "check", "predict", "export"])
def test_the_documentation_shows_the_help_as_it_is(command: str) -> None:
    documentation = Path(__file__).parents[2].joinpath("docs", "command.md")
    shown = python(
        "import sys; from apparel.cli import main; main.main(sys.argv[1:])", command, "--help",
        COLUMNS="80",
    ).stdout  # fmt: skip
    assert f"```text\n{shown}```" in documentation.read_text(encoding="utf-8")


@pytest.mark.parametrize("is_clean", [True, False])
def test_the_exit_code_of_a_check_says_whether_the_data_are_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_clean: bool
) -> None:
    asked: list[object] = []

    def check(*arguments: object, **options: object) -> SimpleNamespace:
        asked.extend((arguments, options))
        return SimpleNamespace(is_clean=is_clean)

    monkeypatch.setattr("apparel.cli.check.check", check)
    monkeypatch.setattr("apparel.reporting.text.check_lines", repr)
    options = "--limit 50 --image-size 20 --seed 4 --test-split 0.3 --fix a.csv --data-dir here"
    assert main.main(["check", "mine", *options.split()]) == (0 if is_clean else 1)
    assert asked == [
        ("mine",),
        {
            "data_dir": Path("here"), "output": Path("check.json"), "fix": Path("a.csv"),
            "limit": 50, "image_size": 20, "seed": 4, "test_split": 0.3,
        },
    ]  # fmt: skip


def test_a_budget_chooses_the_model_unless_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("apparel.cli.run.run", lambda settings, *a, **k: seen.append(settings))
    for arguments in ("", "--budget 10m", "--budget 1h --model best"):
        assert main.main(["run", *arguments.split()]) == 0
    assert [(s.model_name, s.budget) for s in seen] == [
        ("cnn", None), ("auto", 600.0), ("best", 3600.0),
    ]  # fmt: skip
