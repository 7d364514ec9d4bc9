"""Checkpoints: the whole state of training, in files that are complete or not there.

A checkpoint is one file of arrays and JSON (safetensors: data only, nothing that could run). Its
name holds the number of steps done and the SHA-256 of its content. It is written under another
name, synced, renamed, and its folder synced, before the one before last is deleted. So at any
moment, even if the power fails, the newest file that fits its name is a whole checkpoint.
"""

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apparel.core.atomic_files import atomic_path
from apparel.core.errors import ModelFileError
from apparel.core.messages import say

KEPT = 2
SUFFIX = ".safetensors"
# Added to the name of a damaged file, so that it is not opened again and nothing is lost.
DAMAGED = ".damaged"
_NAME = re.compile(rf"(\d{{9}})-([0-9a-f]{{64}}){re.escape(SUFFIX)}")

# Arrays, and values that JSON knows, by name.
State: TypeAlias = dict[str, Any]


class Stateful(Protocol):
    """A component of training that serialises its own state."""

    def state(self) -> State:
        """Give all that is needed to continue. Arrays in it may change later: copy to keep them."""

    def restore(self, state: State) -> None:
        """Continue from what `state` gave, read back from a file."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of training after a number of steps.

    Attributes:
        step: number of training steps done.
        parts: state of each component of training, by name.
    """

    step: int
    parts: dict[str, State]


class CheckpointFolder:
    """The checkpoints of one training.

    Args:
        path: the folder; made with the first checkpoint.
        training: identifies the training by recipe, seed and data. Checkpoints of another training
            are not used.
    """

    def __init__(self, path: Path, training: str) -> None:
        self.path = path
        self._training = training

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, and delete all but the last two.

        Raises:
            OSError: it cannot be written; those before are still there.
        """
        content = _encoded(checkpoint, self._training)
        digest = hashlib.sha256(content).hexdigest()
        path = self.path / f"{checkpoint.step:09d}-{digest}{SUFFIX}"
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
        for old in self._files()[KEPT:]:
            if old != path:
                old.unlink(missing_ok=True)
        return path

    def load(self) -> Checkpoint | None:
        """Read the last whole checkpoint; report damaged ones, and set them aside.

        Returns:
            It, or None where there is none.

        Raises:
            OSError: a file cannot be read. It may be whole, so it stays.
        """
        for path in self._files():
            try:
                return self._read(path)
            except ModelFileError as error:
                path.replace(path.with_name(path.name + DAMAGED))
                say(
                    f"The checkpoint {path} is not used: {error} It is kept as "
                    f"{path.name + DAMAGED}.",
                    file=sys.stderr,
                )
        return None

    @property
    def exist(self) -> bool:
        """True if there is any checkpoint file."""
        return bool(self._files())

    def _files(self) -> list[Path]:
        """List every file with a checkpoint's name, the last one first."""
        if not self.path.is_dir():
            return []
        return sorted((p for p in self.path.iterdir() if _NAME.fullmatch(p.name)), reverse=True)

    def _read(self, path: Path) -> Checkpoint:
        """Read a checkpoint.

        Raises:
            ModelFileError: it is damaged, or of another training.
        """
        step, digest = int(path.name[:9]), path.name[10:74]
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise ModelFileError("its content is not what was written.")
        checkpoint, training = _decoded(content)
        if checkpoint.step != step:
            raise ModelFileError(f"it was written after {checkpoint.step} steps, not {step}.")
        if training != self._training:
            raise ModelFileError("it is of another training.")
        return checkpoint


def _encoded(checkpoint: Checkpoint, training: str) -> bytes:
    """Encode a checkpoint as safetensors, with all other values as JSON in its metadata."""
    from safetensors.numpy import save  # noqa: PLC0415  # comes with the extra for training

    tensors: dict[str, NDArray[Any]] = {}
    values: dict[str, dict[str, Any]] = {}
    for part, state in checkpoint.parts.items():
        values[part] = {}
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                tensors[f"{part}/{name}"] = np.asarray(value, order="C")
            else:
                values[part][name] = value
    metadata = {"step": checkpoint.step, "training": training, "values": values}
    return bytes(save(tensors, {"apparel": json.dumps(metadata, sort_keys=True)}))


def _decoded(content: bytes) -> tuple[Checkpoint, str]:
    """Read what `_encoded` wrote.

    Returns:
        The checkpoint, and which training it belongs to.

    Raises:
        ModelFileError: it is something else.
    """
    from safetensors.numpy import load  # noqa: PLC0415  # comes with the extra for training

    try:
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["apparel"])
        parts: dict[str, State] = {part: dict(state) for part, state in metadata["values"].items()}
        for key, array in tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = array
        return Checkpoint(int(metadata["step"]), parts), str(metadata["training"])
    except Exception as error:  # foreign content fails anywhere
        raise ModelFileError(f"it is no checkpoint ({error!r}).") from error
