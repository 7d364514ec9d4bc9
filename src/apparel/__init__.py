"""Labelled small images in; a trained, honestly tested, explained and exported classifier out.

    from apparel import ApparelClassifier

`check`, `compare`, `evaluate`, `report`, `stress`, `suspects` and `tune` do what the commands of
the same names do: each returns its record and prints nothing.

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
    from apparel.cli.check import check
    from apparel.cli.compare import compare
    from apparel.cli.evaluate import evaluate
    from apparel.cli.report import report
    from apparel.cli.stress import stress
    from apparel.cli.suspects import suspects
    from apparel.cli.tune import tune
    from apparel.predict.predictor import Predictor, load

_LAZY = {
    "ApparelClassifier": "apparel.classifier",
    "Predictor": "apparel.predict.predictor",
    "check": "apparel.cli.check",
    "compare": "apparel.cli.compare",
    "evaluate": "apparel.cli.evaluate",
    "load": "apparel.predict.predictor",
    "report": "apparel.cli.report",
    "stress": "apparel.cli.stress",
    "suspects": "apparel.cli.suspects",
    "tune": "apparel.cli.tune",
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
    "check",
    "compare",
    "evaluate",
    "load",
    "report",
    "stress",
    "suspects",
    "tune",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
