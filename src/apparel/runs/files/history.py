"""`history.csv`: how a model was trained."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apparel.core.errors import ModelFileError
from apparel.core.records import History
from apparel.runs.files.evaluation import FINISHED

HISTORY_FILE = "history.csv"


def read_history(folder: Path, settings: Mapping[str, Any]) -> History:
    """Read back how a run's model was trained.

    Args:
        folder: the run directory.
        settings: its `settings.json`.

    Raises:
        ModelFileError: there is no `history.csv`, or it is broken.
    """
    path = folder / HISTORY_FILE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{name: float(x) for name, x in row.items()} for row in csv.DictReader(file)]
        seconds = tuple(row.pop("seconds") for row in rows)
        names = [name for name in (rows[0] if rows else ()) if name != "epoch"]
        return History(
            history={name: tuple(row[name] for row in rows) for name in names},
            seconds=seconds,
            dtype=settings["number_format"]["policy"],
            interrupted=settings["status"] == "interrupted",
            restored_epoch=settings["restored_epoch"],
            harder=settings["recipe"]["prune"] > 0,
        )
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}. {FINISHED}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} holds no history ({error!r}). {FINISHED}") from error
