"""Move a written model into place: a file, a folder or a pair of files, whole or not at all."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from apparel.core.atomic_files import atomic_path, folder_beside
from apparel.core.errors import UsageError
from apparel.core.model_formats import OPENVINO_WEIGHTS

# The file by which a SavedModel is recognised.
SAVED_MODEL_FILE = "saved_model.pb"


def placed(target: str | os.PathLike[str], kind: str) -> AbstractContextManager[Path]:
    """Give a temporary path beside `target`; move what was written into place on success.

    Args:
        target: path of the model; an earlier one is replaced.
        kind: its format.

    Returns:
        A context with a path of the same name, not yet existing, in a folder that holds nothing
        else. If the block fails, nothing is left of it, and an earlier model stays.

    Raises:
        UsageError: the path holds something that is no such model.
        OSError: the folder cannot be made or written to, or the disk is full.
    """
    if kind == "saved_model":
        return _placed_folder(Path(target))
    if kind == "openvino":
        return _placed_pair(Path(target))
    return atomic_path(target)


def fingerprint(path: Path, kind: str) -> tuple[str, int]:
    """Give the SHA-256 of a written model, as `Exported` describes it, and its size in bytes."""
    files = [path]
    if kind == "openvino":
        files = [path.with_suffix(OPENVINO_WEIGHTS), path]
    elif path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    size = sum(file.stat().st_size for file in files)
    if len(files) == 1:
        return hashes[0], size
    base = path if path.is_dir() else path.parent
    names = (os.fsencode(file.relative_to(base)) for file in files)
    lines = (b"%s  %s\n" % (a.encode(), name) for a, name in zip(hashes, names, strict=True))
    return hashlib.sha256(b"".join(lines)).hexdigest(), size


@contextmanager
def _placed_folder(target: Path) -> Iterator[Path]:
    target = Path(os.path.realpath(target))
    if target.exists() and not (target / SAVED_MODEL_FILE).is_file():
        raise UsageError(f"{target} exists and is no SavedModel. Name a new folder.")
    with folder_beside(target) as folder:
        temporary = folder / target.name
        yield temporary
        with _moved_away(target, folder / "earlier"):
            temporary.replace(target)


@contextmanager
def _placed_pair(target: Path) -> Iterator[Path]:
    target = Path(os.path.realpath(target))
    weights = target.with_suffix(OPENVINO_WEIGHTS)
    if target.is_dir() or (weights.exists() and not target.is_file()):
        raise UsageError(
            f"{weights if weights.exists() else target} is in the way of an OpenVINO model, which "
            f"is {target.name} and {weights.name}. Name another file."
        )
    with folder_beside(target) as folder:
        temporary = folder / target.name
        yield temporary
        # An .xml file must never stand beside another's weights: it goes first and comes last.
        with _moved_away(target, folder / "earlier"):
            temporary.with_suffix(OPENVINO_WEIGHTS).replace(weights)
        temporary.replace(target)


@contextmanager
def _moved_away(target: Path, elsewhere: Path) -> Iterator[None]:
    """Move an earlier model away, and back again if the block fails."""
    if target.exists():
        target.replace(elsewhere)
    try:
        yield
    except BaseException:
        if elsewhere.exists():
            elsewhere.replace(target)
        raise
