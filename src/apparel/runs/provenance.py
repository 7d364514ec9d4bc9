"""The provenance of a run: how its training began, to resume it in the same way."""

import importlib.metadata
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from apparel.core.backend import NumberFormat
from apparel.core.errors import DataError, ModelFileError
from apparel.core.recipes import Plan, Recipe

PACKAGES = ("apparel", "keras", "tensorflow", "tensorflow-cpu", "torch", "jax", "numpy",
            "scipy", "scikit-learn", "onnx", "onnxruntime")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Choices made before the first training step, fixed for the whole run.

    Attributes:
        recipe: as `settings.json` has it.
        plan: what its budget buys, as measured then.
        number_format: of training, as measured then.
        dataset: manifest of its images.
        versions: of the packages then.
        processor: then.
    """

    recipe: Mapping[str, Any]
    plan: Plan | None
    number_format: NumberFormat
    dataset: Mapping[str, Any]
    versions: Mapping[str, str]
    processor: str

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Provenance":
        """Read it from what is in `settings.json`.

        Raises:
            ModelFileError: that is broken.
        """
        try:
            return cls(
                recipe=record["recipe"],
                plan=Plan(**record["plan"]) if record["plan"] else None,
                number_format=NumberFormat(**record["number_format"]),
                dataset=record["dataset"],
                versions=record["versions"],
                processor=record["processor"],
            )
        except (KeyError, TypeError) as error:
            raise ModelFileError(
                f"settings.json does not say how training began ({error!r}). Train once more."
            ) from error

    def check(self, recipe: Recipe, dataset: Mapping[str, object]) -> None:
        """Check that training can be resumed with a recipe and images.

        Raises:
            DataError: these are other images.
            ModelFileError: another version of apparel began, which trains otherwise.
        """
        if dataset.get("sha256") != self.dataset.get("sha256"):
            raise DataError(
                "these are not the images this run was trained on: their SHA-256 is "
                f"{dataset.get('sha256')}, and was {self.dataset.get('sha256')}. Bring back the "
                "images, or train once more."
            )
        if asdict(recipe) != self.recipe:
            raise ModelFileError(
                "another version of apparel began this training, and trains otherwise. Install "
                f"apparel {self.versions.get('apparel')} to resume it, or train once more."
            )

    def changes(self, versions: Mapping[str, str], processor: str) -> str:
        """Describe in a line what has changed since training began; empty where nothing has."""
        then = {**self.versions, "processor": self.processor}
        now = {**versions, "processor": processor}
        changed = ", ".join(
            f"{name} was {then.get(name, 'none')}, is {now.get(name, 'none')}"
            for name in sorted(now.keys() | then.keys())
            if now.get(name) != then.get(name)
        )
        if not changed:
            return ""
        return f"Not as it was when training began, so the last bits may differ: {changed}\n"


def versions() -> dict[str, str]:
    """Give the versions of Python and of the packages that decide what training computes."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
