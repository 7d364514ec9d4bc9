"""Labelled small images in; a trained, honestly tested, explained and exported classifier out.

    from apparel import ApparelClassifier

The names below are imported when they are first used: `import apparel` loads neither
TensorFlow nor Keras, matplotlib or scikit-learn.
"""

import importlib
from typing import TYPE_CHECKING, Any

from apparel._version import __version__
from apparel.core.errors import (
    ApparelError,
    DataError,
    DataUnavailableError,
    ModelFileError,
    StepOrderError,
    UsageError,
)

if TYPE_CHECKING:
    from apparel.classifier import ApparelClassifier
    from apparel.predict.predictor import Predictor, load

_LAZY = {
    "ApparelClassifier": "apparel.classifier",
    "Predictor": "apparel.predict.predictor",
    "load": "apparel.predict.predictor",
}

__all__ = [
    "ApparelClassifier",
    "ApparelError",
    "DataError",
    "DataUnavailableError",
    "ModelFileError",
    "Predictor",
    "StepOrderError",
    "UsageError",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
