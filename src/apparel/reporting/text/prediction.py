"""Lines about predictions for single images."""

from collections.abc import Sequence
from typing import Any

from apparel.core.messages import printable
from apparel.core.records import Answer, FailedImage, Prediction


def prediction_lines(predictions: Sequence[Prediction]) -> str:
    """Describe each image in a block: predicted and true class, and all confidences."""
    return "\n".join(_prediction_block(prediction) for prediction in predictions)


def _prediction_block(prediction: Prediction) -> str:
    """Predicted and true class of one image, then the confidences, highest first."""
    heading = f"{prediction.name}: predicted {prediction.label}"
    if prediction.true is not None:
        right = prediction.true == prediction.predicted
        truth = prediction.class_names[prediction.true]
        heading += f", true {truth} ({'right' if right else 'wrong'})"
    classes = prediction.top(len(prediction.class_names))
    confidences = ", ".join(f"{label} {p:.1%}" for label, p in classes)
    return f"{heading}\n    {confidences}"


def prediction_rows(answers: Sequence[Answer], *, top: int = 1, threshold: float = 0) -> str:
    """List answers, a line per image: its name, the most probable classes and confidences.

    Args:
        answers: at least one.
        top: number of classes to list.
        threshold: confidence below which an answer is marked "not sure".
    """
    name_width = max(len(printable(answer.name)) for answer in answers)
    read = [answer for answer in answers if isinstance(answer, Prediction)]
    label_width = max((len(label) for p in read for label, _ in p.top(top)), default=0)
    return "\n".join(
        f"{printable(answer.name):<{name_width}}  {_answer(answer, label_width, top, threshold)}"
        for answer in answers
    )


def _answer(answer: Answer, label_width: int, top: int, threshold: float) -> str:
    """The answer for one image."""
    if isinstance(answer, FailedImage):
        return f"error: {answer.problem.removeprefix(answer.name).strip()}"
    classes = "  ".join(f"{label:<{label_width}}  {p:6.1%}" for label, p in answer.top(top))
    unsure = "  not sure" if answer.confidence < threshold else ""
    return f"{classes}{unsure}{'  unlike the training images' if answer.is_unlike else ''}"


class PredictionNotes:
    """Counts of unusual, preprocessed and failed images, reported after all answers."""

    def __init__(self) -> None:
        self.n_images = self.n_unlike = self.n_failed = 0
        # Number of images by the steps taken, and the name of the first.
        self._steps: dict[tuple[str, ...], tuple[int, str]] = {}

    def add(self, answers: Sequence[Answer]) -> None:
        """Count further answers."""
        self.n_images += len(answers)
        for answer in answers:
            if isinstance(answer, FailedImage):
                self.n_failed += 1
                continue
            self.n_unlike += bool(answer.is_unlike)
            if answer.steps:
                self._add_steps(answer.steps, 1, printable(answer.name))

    def counts(self) -> dict[str, Any]:
        """The counts, in plain types for JSON."""
        return {
            "images": self.n_images,
            "unlike": self.n_unlike,
            "failed": self.n_failed,
            "steps": [[list(steps), n, first] for steps, (n, first) in self._steps.items()],
        }

    def add_counts(self, counts: dict[str, Any]) -> None:
        """Add the `counts` of another process."""
        self.n_images += counts["images"]
        self.n_unlike += counts["unlike"]
        self.n_failed += counts["failed"]
        for steps, n, first in counts["steps"]:
            self._add_steps(tuple(steps), n, first)

    def _add_steps(self, steps: tuple[str, ...], n: int, name: str) -> None:
        before, first = self._steps.get(steps, (0, name))
        self._steps[steps] = before + n, first

    def lines(self) -> str:
        """Warnings of images unlike the training images, the steps taken, and failures."""
        lines = []
        if self.n_unlike:
            verb = "is" if self.n_unlike == 1 else "are"
            some = f"{self.n_unlike:,} of {self.n_images:,} images {verb}"
            lines.append(
                f"\nWarning: {'this image is' if self.n_images == 1 else some} unlike what the "
                "model was trained on. However confident the answer, do not rely on it."
            )
        if self._steps:
            lines.append("\nMade similar to the training images (--raw turns this off):")
        for steps, (n, first) in self._steps.items():
            lines.append(f"  {first if n == 1 else f'{n:,} images'}: {', '.join(steps)}")
        if self.n_failed:
            lines.append(f"\n{self.n_failed:,} of {self.n_images:,} images could not be read.")
        return "\n".join(lines)
