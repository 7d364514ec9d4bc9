"""Exported files, and how closely they reproduce the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Precision: TypeAlias = Literal["float32", "int8"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An exported file's predictions compared with the model's on the same images.

    Attributes:
        images: number of images, at least 1.
        same_class: share of images given the model's class; where the model's two most probable
            classes are equal but for rounding, either one counts.
        largest_difference: between a probability of the file and the model's.
        accuracy: accuracy of the file.
        model_accuracy: accuracy of the model.
        runtime: the runtime that computed the file's predictions.
        runtime_version: its version.
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
    """A file, or files that belong together, that a model was exported to.

    Attributes:
        path: the file or folder.
        format: a key of `model_formats.SUFFIXES`.
        precision: of its weights and layers.
        comparison: with the model.
        needs: the software that reads it.
        written: time of export, in ISO 8601.
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
