"""The cost of a checkpoint, as a share of an epoch on all of Fashion-MNIST."""

import tempfile
import time
from pathlib import Path
from unittest import mock

from apparel.core import backend
from apparel.core.records import Splits
from apparel.core.settings import Settings
from apparel.data import loading
from apparel.data.splits import prepare
from apparel.runs.checkpoints import Checkpoint, CheckpointFolder
from apparel.training import fit

MOST_SHARE = 0.02
# An average over nearly all steps is the largest state that a training has.
TRAININGS = {
    "cnn": Settings(model_name="cnn", epochs=2, weight_averaging=0.9),
    "fast": Settings(model_name="fast", epochs=2),
}


def measure() -> dict[str, object]:
    """Train, and time the checkpoints.

    Returns:
        Of each model: seconds of the slowest checkpoint and of the fastest epoch, their ratio and
        the megabytes of a checkpoint; under "holds", whether no ratio is above `MOST_SHARE`.
    """
    splits = prepare(loading.load(), Settings())
    found = {name: _measured(settings, splits) for name, settings in TRAININGS.items()}
    return {**found, "holds": all(one["share"] <= MOST_SHARE for one in found.values())}


def _measured(settings: Settings, splits: Splits) -> dict[str, float]:
    """Train one model."""
    model = fit.compiled_model(settings, n_classes=10, img_shape=(28, 28, 1))
    seconds, save = [], CheckpointFolder.save

    def timed(folder: CheckpointFolder, checkpoint: Checkpoint) -> Path:
        start = time.perf_counter()
        path = save(folder, checkpoint)
        seconds.append(time.perf_counter() - start)
        sizes.append(path.stat().st_size)
        return path

    sizes: list[int] = []
    with tempfile.TemporaryDirectory() as name, mock.patch.object(CheckpointFolder, "save", timed):
        history = fit.fit(
            model,
            splits,
            settings,
            backend.choose_number_format("auto"),
            checkpoints=CheckpointFolder(Path(name), "cost"),
        )
    slowest, epoch = max(seconds), min(history.seconds)
    return {
        "checkpoint_seconds": round(slowest, 3),
        "epoch_seconds": round(epoch, 2),
        "share": round(slowest / epoch, 4),
        "megabytes": round(max(sizes) / 1e6, 1),
    }
