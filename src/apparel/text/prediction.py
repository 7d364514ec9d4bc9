"""Predictions → lines, or the text of a CSV file."""

import csv
import io
from collections.abc import Sequence

from apparel.records import Prediction

UNLIKE = "  unlike the training images"


def prediction_lines(predictions: Sequence[Prediction]) -> str:
    """One block an image: predicted and true class, and every class's confidence."""
    return "\n".join(_prediction_block(prediction) for prediction in predictions)


def _prediction_block(prediction: Prediction) -> str:
    """Predicted and true class of one image, then the confidences, highest first."""
    heading = f"{prediction.name}: predicted {prediction.label}"
    if prediction.true is not None:
        right = prediction.true == prediction.predicted
        truth = prediction.class_names[prediction.true]
        heading += f", true {truth} ({'right' if right else 'wrong'})"
    order = prediction.probabilities.argsort()[::-1]
    confidences = ", ".join(
        f"{prediction.class_names[k]} {prediction.probabilities[k]:.1%}" for k in order
    )
    return f"{heading}\n    {confidences}"


def prediction_table(predictions: Sequence[Prediction]) -> str:
    """One line an image: its name, the predicted class and its confidence, in columns.

    Then which images are unlike the training images, and what was done to the images before.
    """
    name_width = max(len(prediction.name) for prediction in predictions)
    label_width = max(len(prediction.label) for prediction in predictions)
    lines = [
        f"{prediction.name:<{name_width}}  {prediction.label:<{label_width}}  "
        f"{prediction.confidence:6.1%}{UNLIKE if prediction.is_unlike else ''}"
        for prediction in predictions
    ]
    return "\n".join([*lines, *_unlike_lines(predictions), *_step_lines(predictions)])


def _unlike_lines(predictions: Sequence[Prediction]) -> list[str]:
    """Warn of images that the model knows nothing like."""
    unlike = sum(bool(prediction.is_unlike) for prediction in predictions)
    if not unlike:
        return []
    some = f"{unlike} of {len(predictions)} images {'is' if unlike == 1 else 'are'}"
    which = "this image is" if len(predictions) == 1 else some
    return [
        f"\nWarning: {which} unlike what the model was trained on. However confident the answer, "
        "do not rely on it."
    ]


def _step_lines(predictions: Sequence[Prediction]) -> list[str]:
    """Say what was done to which images."""
    names: dict[tuple[str, ...], list[str]] = {}
    for prediction in predictions:
        if prediction.steps:
            names.setdefault(prediction.steps, []).append(prediction.name)
    if not names:
        return []
    heading = "\nBrought into the form of the training images (--raw leaves this out):"
    return [heading, *(f"  {_of(of)}: {', '.join(steps)}" for steps, of in names.items())]


def _of(names: Sequence[str]) -> str:
    """One name, or how many."""
    return names[0] if len(names) == 1 else f"{len(names)} images"


def prediction_csv(predictions: Sequence[Prediction]) -> str:
    """A CSV table: file, label, confidence, then a column of probabilities for each class.

    Where the model can tell how unlike the training images an image is, the column "novelty"
    follows the confidence; above 1, it is.
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    tells = predictions[0].novelty is not None
    more = ["novelty"] if tells else []
    writer.writerow(["file", "label", "confidence", *more, *predictions[0].class_names])
    for prediction in predictions:
        probabilities = (f"{value:.9g}" for value in prediction.probabilities)
        confidence = f"{prediction.confidence:.9g}"
        novelty = [f"{prediction.novelty:.9g}"] if tells else []
        writer.writerow([prediction.name, prediction.label, confidence, *novelty, *probabilities])
    return lines.getvalue()
