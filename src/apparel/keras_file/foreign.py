"""Files of other formats, and how to convert them."""

from pathlib import Path

from apparel.keras_file.problems import ProblemError

_TRUST = "Where you trust it, open it with Keras and save it once more"
_KERAS = f'{_TRUST}: keras.models.load_model({{path!r}}).save("model.keras")'
_PYTHON = (
    "Loading it runs the code in it. Where you trust it, take the weights out with the program "
    'that wrote it, and save a Keras model: model.save("model.keras")'
)
# Suffixes → what such a file is, and what to do.
_SUFFIXES = {
    ".h5": ("an HDF5 file of older Keras versions", _KERAS),
    ".hdf5": ("an HDF5 file of older Keras versions", _KERAS),
    ".pkl": ("a Python pickle", _PYTHON),
    ".pickle": ("a Python pickle", _PYTHON),
    ".joblib": ("a Python pickle by joblib", _PYTHON),
    ".pt": ("a PyTorch file, which holds a Python pickle", _PYTHON),
    ".pth": ("a PyTorch file, which holds a Python pickle", _PYTHON),
}
# What files begin with → a suffix of the kind.
_BEGINNINGS = {
    b"\x89HDF\r\n\x1a\n": ".h5",
    b"\x80\x02": ".pkl",
    b"\x80\x03": ".pkl",
    b"\x80\x04": ".pkl",
    b"\x80\x05": ".pkl",
}


class ForeignError(ProblemError):
    """A file of another format."""

    verdict = "is no .keras file"


def check_foreign(path: Path, beginning: bytes) -> None:
    """Refuse files of other formats, whatever they hold.

    Args:
        path: the file.
        beginning: its first bytes.

    Raises:
        ForeignError: its name or its beginning is that of another format.
    """
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        suffix = next(
            (kind for magic, kind in _BEGINNINGS.items() if beginning.startswith(magic)), ""
        )
    if suffix:
        kind, remedy = _SUFFIXES[suffix]
        raise ForeignError(f"it is {kind}", remedy=remedy.format(path=path.name) + ".")
