"""`suspects_train.csv` and `suspects_test.csv`: labels that are probably wrong."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from apparel.core.errors import ModelFileError
from apparel.core.records import DataCheck, LabelIssues

SUSPECTS_FILE = "suspects_{split}.csv"


def suspect_rows(suspects: LabelIssues) -> tuple[list[str], Iterator[tuple[object, ...]]]:
    """Lay suspects out as a table: the header, and a row for each, the most suspicious first."""
    names = suspects.class_names
    rows = (
        (rank, index, names[given], names[suggested], f"{quality:.9g}")
        for rank, (index, given, suggested, quality) in enumerate(
            zip(
                suspects.indices,
                suspects.given,
                suspects.suggested,
                suspects.label_quality,
                strict=True,
            ),
            start=1,
        )
    )
    return ["rank", "index", "given", "suggested", "label_quality"], rows


def read_suspects(
    folder: Path, settings: Mapping[str, Any], check: DataCheck | None
) -> tuple[LabelIssues, ...]:
    """Read back what `suspect_rows` laid out, of each split that was searched.

    Args:
        folder: the run directory.
        settings: its `settings.json`.
        check: of its images, which also counts those that were not trained on; None without one.

    Raises:
        ModelFileError: a file is broken.
    """
    import numpy as np  # noqa: PLC0415  # --help has no time for it

    found = []
    names, counts = settings["class_names"], settings["dataset"]["images_per_class"]
    if check:
        counts = {"validation": [], **check.images_per_class}
    n_images = {
        "train": sum(counts["training"]) + sum(counts["validation"]),
        "test": sum(counts["test"]),
    }
    for split in ("train", "test"):
        path = folder / SUSPECTS_FILE.format(split=split)
        if not path.exists():
            continue
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            found.append(
                LabelIssues(
                    split="train" if split == "train" else "test",
                    n_images=n_images[split],
                    class_names=tuple(names),
                    indices=np.array([row["index"] for row in rows], np.int64),
                    given=np.array([names.index(row["given"]) for row in rows], np.int64),
                    suggested=np.array([names.index(row["suggested"]) for row in rows], np.int64),
                    label_quality=np.array([row["label_quality"] for row in rows], np.float64),
                )
            )
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"{path} holds no suspects ({error!r}). Write it again with `apparel suspects`."
            ) from error
    return tuple(found)
