"""`stress.json`: how a model answers images made worse."""

import json
from dataclasses import asdict
from pathlib import Path

from apparel.core.errors import ModelFileError
from apparel.core.records import Attack, CorruptionCurve, Interval, Robustness

STRESS_FILE = "stress.json"


def robustness(robustness: Robustness) -> dict[str, object]:
    """Lay out accuracy on images made worse as `stress.json`: plain types."""
    return {
        "n": robustness.n_images,
        "confidence": 0.95,
        "accuracy": asdict(robustness.accuracy),
        "corruptions": {
            curve.name: {
                "unit": curve.unit,
                "strengths": list(curve.strengths),
                "accuracies": [asdict(accuracy) for accuracy in curve.accuracies],
            }
            for curve in robustness.curves
        },
        "attack": asdict(robustness.attack),
    }


def read_robustness(folder: Path) -> Robustness | None:
    """Read back what `robustness` laid out, or None where the run was not stressed.

    Args:
        folder: the run directory.

    Raises:
        ModelFileError: the file is broken.
    """
    path = folder / STRESS_FILE
    if not path.exists():
        return None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        attack = read["attack"]
        return Robustness(
            n_images=read["n"],
            accuracy=Interval(**read["accuracy"]),
            curves=tuple(
                CorruptionCurve(
                    name=name,
                    unit=curve["unit"],
                    strengths=tuple(curve["strengths"]),
                    accuracies=tuple(Interval(**accuracy) for accuracy in curve["accuracies"]),
                )
                for name, curve in read["corruptions"].items()
            ),
            attack=Attack(**{**attack, "accuracy": Interval(**attack["accuracy"])}),
        )
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} holds no robustness ({error!r}). Write it again with `apparel stress`."
        ) from error
