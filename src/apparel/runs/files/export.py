"""`export.json`: which files a run's model was written to, and how far they are from it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from apparel.core.errors import ModelFileError
from apparel.core.records import Exported
from apparel.runs.files.evaluation import METRICS_FILE

EXPORT_FILE = "export.json"


def export_json(earlier: Mapping[str, object], exported: Exported) -> str:
    """Give the text of `export.json`: in ASCII, as names of files need not be UTF-8.

    Args:
        earlier: what the file told before, by file name.
        exported: takes the place of an earlier file of the same name.
    """
    facts = {key: value for key, value in asdict(exported).items() if key != "path"}
    comparison = facts.pop("comparison")
    return json.dumps({**earlier, exported.path.name: {**facts, **comparison}}, indent=2) + "\n"


def read_exports(folder: Path) -> dict[str, object]:
    """Read back what `export_json` laid out, by file name; nothing where nothing was exported.

    Args:
        folder: the run directory.

    Raises:
        ModelFileError: the file is broken.
    """
    path = folder / EXPORT_FILE
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} does not list exported files ({error!r}). Delete it, and export them again."
        ) from error


def read_accuracy(folder: Path) -> dict[str, float] | None:
    """Read back the accuracy on the test images.

    Args:
        folder: the run directory.

    Returns:
        Its value, the low and high end of its interval, and n, the images; None where the model
        was not tested.

    Raises:
        ModelFileError: `metrics.json` is broken.
    """
    path = folder / METRICS_FILE
    if not path.exists():
        return None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        found = {key: float(read["accuracy"][key]) for key in ("value", "low", "high")}
        return {**found, "n": int(read["n"])}
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} holds no figures ({error!r}). Give a folder that `apparel run` has finished."
        ) from error
