"""An exported file, and how far it is from the model that it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Precision: TypeAlias = Literal["float32", "int8"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What an exported file says of images that the model was asked about as well.

    Attributes:
        images: how many there were, at least 1.
        same_class: the share that it gives the class that the model gives; where the model's two
            most probable classes are equal but for rounding, either one counts.
        largest_difference: between a probability of the file and the model's.
        accuracy: the share that the file names rightly.
        model_accuracy: the share that the model names rightly.
        runtime: what computed the file's answers.
        runtime_version: of that.
    """

    images: int
    same_class: float
    largest_difference: float
    accuracy: float
    model_accuracy: float
    runtime: str
    runtime_version: str


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A file, or files that belong together, that a model was written to.

    Attributes:
        path: the file or folder.
        format: a key of `formats.SUFFIXES`.
        precision: of its weights and layers.
        comparison: with the model.
        needs: what reads it.
        written: when, in ISO 8601.
        apparel: the version that wrote it.
        sha256: of the file; of several files, of the lines that `sha256sum` prints for them in the
            order of their names. "" while they are being written.
        size: in bytes, of all files together; 0 likewise.
    """

    path: Path
    format: str
    precision: Precision
    comparison: Comparison
    needs: Mapping[str, object]
    written: str
    apparel: str
    sha256: str = ""
    size: int = 0
