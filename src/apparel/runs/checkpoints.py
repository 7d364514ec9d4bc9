"""Checkpoints: all that training needs to go on, in files that are whole or not there.

A checkpoint is one file of arrays and JSON (safetensors: data only, nothing that could run). Its
name holds the steps that were done and the SHA-256 of its content. It is written under another
name, synced, renamed, and its folder synced, before the one before last is deleted. So at any
moment, even if the power fails, the newest file that fits its name is a whole checkpoint.
"""

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apparel.core.atomic_files import atomic_path
from apparel.core.checkpointable import State
from apparel.core.errors import ModelFileError

KEPT = 2
SUFFIX = ".safetensors"
# What a damaged file is called from then on, so that nobody opens it and nothing is lost.
DAMAGED = ".damaged"
_NAME = re.compile(rf"(\d{{9}})-([0-9a-f]{{64}}){re.escape(SUFFIX)}")
# The state of the largest model that trains here is a tenth of this.
MOST_BYTES = 4 << 30


@dataclass(frozen=True)
class Checkpoint:
    """The state of training after a number of steps.

    Attributes:
        step: training steps that were done.
        parts: for each part of training, its state.
    """

    step: int
    parts: dict[str, State]


class CheckpointFolder:
    """The checkpoints of one training.

    Args:
        path: the folder; made with the first checkpoint.
        training: says what is trained: recipe, seed, data. Checkpoints of another training are not
            used.
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
        """Read the last whole checkpoint; name those that are damaged, and set them aside.

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
                print(
                    f"The checkpoint {path} is not used: {error} It is kept as "
                    f"{path.name + DAMAGED}.",
                    file=sys.stderr,
                )
        return None

    @property
    def exist(self) -> bool:
        """Whether there is one."""
        return bool(self._files())

    def _files(self) -> list[Path]:
        """Every file with a checkpoint's name, the last one first."""
        if not self.path.is_dir():
            return []
        return sorted((p for p in self.path.iterdir() if _NAME.fullmatch(p.name)), reverse=True)

    def _read(self, path: Path) -> Checkpoint:
        """Read a checkpoint.

        Raises:
            ModelFileError: it is damaged, or of another training.
        """
        step, digest = int(path.name[:9]), path.name[10:74]
        if path.stat().st_size > MOST_BYTES:
            raise ModelFileError(f"it has more than {MOST_BYTES >> 30} GiB.")
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
    """Write a checkpoint as safetensors, with what is no array as JSON in its metadata."""
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
    """Read what `_encoded` wrote: the checkpoint, and of which training it is.

    Raises:
        ModelFileError: it is something else.
    """
    from safetensors import SafetensorError  # noqa: PLC0415  # comes with the extra for training
    from safetensors.numpy import load  # noqa: PLC0415  # as above

    try:
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        metadata = json.loads(header["__metadata__"]["apparel"])
        parts: dict[str, State] = {part: dict(state) for part, state in metadata["values"].items()}
        for key, array in tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = array
        return Checkpoint(int(metadata["step"]), parts), str(metadata["training"])
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"it is no checkpoint ({error!r}).") from error
