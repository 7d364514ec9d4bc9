"""`weights.safetensors`: the weights of a run's model, data only."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apparel.core.atomic_files import atomic_path
from apparel.core.errors import ModelFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS_FILE = "weights.safetensors"
# The largest model that trains here has a tenth of this.
MAX_BYTES = 2 << 30


def write_weights(folder: Path, weights: "Mapping[str, NDArray[Any]]") -> None:
    """Write `weights.safetensors`.

    Args:
        folder: the run directory.
        weights: arrays by name.
    """
    from safetensors.numpy import save  # noqa: PLC0415  # comes with the extra for training

    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(save(dict(weights)))


def read_weights(folder: Path) -> "dict[str, NDArray[Any]]":
    """Read back what `write_weights` wrote.

    Args:
        folder: the run directory.

    Returns:
        Arrays by name, together no larger than the file.

    Raises:
        ModelFileError: the file is missing, damaged or no safetensors file.
    """
    from safetensors import SafetensorError  # noqa: PLC0415  # comes with the extra for training
    from safetensors.numpy import load  # noqa: PLC0415  # as above

    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise ModelFileError(
            f"{folder} has no {WEIGHTS_FILE}: training did not finish, or an older version of "
            "apparel wrote this run. Train again, or export the model from the version that "
            "wrote it."
        )
    if path.stat().st_size > MAX_BYTES:
        raise ModelFileError(
            f"{path} is larger than {MAX_BYTES >> 30} GiB, which no run writes. Restore the file."
        )
    try:
        return dict(load(path.read_bytes()))
    except (SafetensorError, KeyError, OSError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} holds no weights ({error}). Restore the file, or train again."
        ) from error
