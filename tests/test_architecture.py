"""The shape of the package: who may import whom, and what `apparel` offers."""

import ast
from pathlib import Path

import pytest

import apparel

SOURCE = Path(apparel.__file__).parent
# May be used by every stage.
FOUNDATIONS = {"errors", "records", "settings", "recipes", "files", "formats", "backend", "images",
               "decode", "runtimes", "sampling", "values"}  # fmt: skip
# What a module may import beyond the foundations that it needs.
RULES: dict[str, set[str]] = {
    "_version": set(),
    "errors": set(),
    "files": {"errors"},
    "formats": {"errors"},
    "records": {"errors", "images"},
    "images": set(),
    "sampling": set(),
    "decode": {"errors"},
    "values": {"errors"},
    "settings": {"errors", "values"},
    "recipes": {"errors", "settings"},
    "backend": {"errors", "settings"},
    "runtimes": set(),
    "data": FOUNDATIONS,
    "prepare": FOUNDATIONS,
    "models": FOUNDATIONS,
    "stateful": set(),
    "listeners": {"backend"},
    "interruption": set(),
    "checkpoints": {"errors", "files", "stateful"},
    "schedule": {"listeners", "stateful"},
    "averaging": {"listeners", "schedule", "stateful"},
    "early_stopping": {"listeners", "stateful"},
    "pruning": {"backend", "listeners", "schedule", "stateful"},
    "augment": {"images", "pruning", "schedule", "settings", "stateful"},
    "epoch_log": {"augment", "listeners", "progress", "schedule", "stateful"},
    "watching": {"listeners", "records", "schedule"},
    "checkpointing": {"backend", "checkpoints", "epoch_log", "errors", "interruption", "listeners",
                      "stateful"},
    "muon": {"backend"},
    "fused": {"backend"},
    "pipeline": {"backend", "images"},
    "twin": {"backend", "fused"},
    "train": FOUNDATIONS
    | {"checkpointing", "checkpoints", "data_parallel", "interruption", "listeners", "muon",
       "pipeline", "pruning", "training_parts", "twin", "watching"},
    "data_parallel": {"backend", "errors"},
    "training_parts": FOUNDATIONS
    | {"augment", "averaging", "early_stopping", "epoch_log", "listeners", "progress", "pruning",
       "schedule", "stateful"},
    "budget": FOUNDATIONS | {"models", "train"},
    "inference": FOUNDATIONS | {"pipeline"},
    "gradients": {"backend"},
    "occlusion": set(),
    "saliency": {"backend", "gradients", "occlusion", "records"},
    "cross_validation": FOUNDATIONS | {"inference", "models", "prepare", "train"},
    "probabilities": {"errors"},
    "suspects": {"probabilities", "records"},
    "corruptions": set(),
    "attack": {"backend", "gradients"},
    "stress": {"attack", "corruptions", "images", "intervals", "probabilities", "records"},
    "intervals": {"records"},
    "calibration": {"intervals", "records"},
    "evaluate": {"calibration", "errors", "intervals", "probabilities", "records"},
    "explain": {"intervals", "records"},
    "glossary": set(),
    "novelty": {"images", "records"},
    "novelty_graph": {"records"},
    "export": FOUNDATIONS | {"_version", "keras_file", "novelty", "novelty_graph"},
    "photo": {"decode"},
    "image_sources": {"decode", "errors"},
    "image_parts": {"decode", "errors", "image_sources"},
    "keras_file": {"errors", "file_problems"},
    "file_problems": set(),
    "onnx_file": {"errors", "file_problems"},
    "prediction_files": {"errors", "files", "records"},
    "duplicates": {"errors", "images", "records"},
    "image_table": {"errors", "records"},
    "check": {"errors", "image_table", "images", "records"},
    "predict": {"backend", "decode", "errors", "formats", "occlusion", "onnx_file", "photo",
                "records", "runtimes"},
    "explanation_files": {"errors", "files", "records"},
    "predict_files": FOUNDATIONS
    | {"data", "explanation_files", "image_parts", "predict", "prediction_files", "text"},
    "limits": {"errors"},
    "serve": {"_version", "decode", "errors", "limits", "predict", "records"},
    "plots": {"images", "records"},
    "screening": {"check", "data", "duplicates", "records", "unusual"},
    "unusual": {"images", "records"},
    "text": {"records", "sampling"},
    "report": {"images", "plots", "records", "text"},
    "display": set(),
    "progress": {"display"},
    "results": FOUNDATIONS,
    "begun": {"backend", "errors", "settings"},
    "run_folder": {"errors", "files", "formats", "results"},
    "run_state": FOUNDATIONS | {"begun", "checkpoints", "run_folder"},
    "rundir": FOUNDATIONS | {"results", "run_state"},
    "compare": {"errors", "intervals", "records"},
    "estimator": FOUNDATIONS
    | {"begun", "budget", "calibration", "checkpoints", "data", "inference", "models", "prepare",
       "rundir", "train"},
    "data_steps": FOUNDATIONS
    | {"data", "estimator", "image_table", "prepare", "run_folder", "rundir", "screening", "text"},
    "classifier": FOUNDATIONS
    | {"begun", "data", "data_steps", "display", "estimator", "evaluate", "explain", "export",
       "glossary", "inference", "models", "novelty", "plots", "prepare", "run_folder",
       "rundir", "saliency", "text", "train"},
    "gather": FOUNDATIONS
    | {"data", "evaluate", "explain", "export", "inference", "models", "prepare", "results",
       "run_folder", "rundir", "saliency", "screening"},
    "export_run": FOUNDATIONS
    | {"export", "gather", "inference", "results", "run_folder", "rundir"},
    "workflow": FOUNDATIONS
    | {"check", "classifier", "compare", "cross_validation", "data", "display",
       "duplicates", "estimator", "evaluate", "gather", "inference", "interruption", "models",
       "plots", "prediction_files", "prepare", "report", "results", "rundir", "scale", "seed_runs",
       "stress", "suspects", "text", "unusual"},
    "arguments": FOUNDATIONS | {"_version", "limits"},
    "starting": {"errors", "run_seeds", "rundir", "seed_runs", "settings", "workflow"},
    "resuming": {"run_seeds", "search_folder", "seed_runs", "tune_run", "workflow"},
    "seed_runs": {"errors", "files", "settings", "values"},
    "run_seeds": FOUNDATIONS
    | {"intervals", "results", "run_folder", "rundir", "scale", "seed_runs", "text", "workflow"},
    "scale": FOUNDATIONS
    | {"_version", "begun", "data_parallel", "gather", "image_parts", "models", "predict",
       "prediction_files", "run_folder", "rundir", "text", "train", "tuning"},
    "search_folder": {"errors", "files", "run_folder", "settings", "values"},
    "tuning": FOUNDATIONS
    | {"begun", "budget", "interruption", "models", "prepare", "results", "run_state", "rundir",
       "train"},
    "tune_run": FOUNDATIONS
    | {"compare", "data", "display", "interruption", "plots", "results", "rundir", "scale",
       "screening", "search_folder", "text", "tuning", "workflow"},
    "cli": FOUNDATIONS
    | {"arguments", "export_run", "interruption", "limits", "predict_files", "resuming", "rundir",
       "scale", "search_folder", "serve", "starting", "text", "tune_run", "workflow"},
    "__main__": {"cli", "run_folder"},
    "__init__": {"_version", "errors", "classifier", "predict"},
}  # fmt: skip


def part(path: Path) -> str:
    """The module or subpackage that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The parts of apparel that a file imports, anywhere in it, for types as well."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            root, *rest = node.module.split(".")
            if root == "apparel":
                found |= {rest[0]} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("apparel.")}
    return found


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_import_only_what_the_architecture_allows(path: Path) -> None:
    assert imported(path) - {part(path)} <= RULES[part(path)]


def test_evaluation_and_prediction_know_no_keras() -> None:
    names = {"calibration", "evaluate", "predict", "serve", "explain", "report", "text"}
    paths = [path for path in FILES if part(path) in names]
    assert {part(path) for path in paths} == names
    for path in paths:
        text = path.read_text(encoding="utf-8")
        roots = {
            (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        assert not roots & {"keras", "tensorflow", "torch", "jax"}


def test_public_names_are_sorted_and_all_there() -> None:
    assert apparel.__all__ == sorted(apparel.__all__)
    assert all(getattr(apparel, name) is not None for name in apparel.__all__)
    assert dir(apparel) == apparel.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Fashion'"):
        apparel.Fashion  # noqa: B018  # reading it is the test
