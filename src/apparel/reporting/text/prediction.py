"""Predictions → lines."""

from collections.abc import Sequence
from typing import Any

from apparel.core.messages import printable
from apparel.core.records import Answer, FailedImage, Prediction

UNLIKE, NOT_SURE = "  unlike the training images", "  not sure"


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
    classes = prediction.top(len(prediction.class_names))
    confidences = ", ".join(f"{label} {p:.1%}" for label, p in classes)
    return f"{heading}\n    {confidences}"


def prediction_rows(answers: Sequence[Answer], *, top: int = 1, threshold: float = 0) -> str:
    """One line an image, in columns: its name, the most probable classes and their confidences.

    Args:
        answers: at least one.
        top: how many classes to name.
        threshold: the confidence below which the answer is marked as not sure.
    """
    name_width = max(len(printable(answer.name)) for answer in answers)
    named = [answer for answer in answers if isinstance(answer, Prediction)]
    label_width = max((len(label) for p in named for label, _ in p.top(top)), default=0)
    return "\n".join(
        f"{printable(answer.name):<{name_width}}  {_answer(answer, label_width, top, threshold)}"
        for answer in answers
    )


def _answer(answer: Answer, label_width: int, top: int, threshold: float) -> str:
    """What is said of one image."""
    if isinstance(answer, FailedImage):
        return f"error: {answer.problem.removeprefix(answer.name).strip()}"
    classes = "  ".join(f"{label:<{label_width}}  {p:6.1%}" for label, p in answer.top(top))
    unsure = NOT_SURE if answer.confidence < threshold else ""
    return f"{classes}{unsure}{UNLIKE if answer.is_unlike else ''}"


class PredictionNotes:
    """What is to be said once all images are classified, counted on the way."""

    def __init__(self) -> None:
        self.n_images = self.n_unlike = self.n_failed = 0
        # The steps that were taken: how many images, and the first of them.
        self._steps: dict[tuple[str, ...], tuple[int, str]] = {}

    def add(self, answers: Sequence[Answer]) -> None:
        """Count some more."""
        self.n_images += len(answers)
        for answer in answers:
            if isinstance(answer, FailedImage):
                self.n_failed += 1
                continue
            self.n_unlike += bool(answer.is_unlike)
            if answer.steps:
                count, first = self._steps.get(answer.steps, (0, printable(answer.name)))
                self._steps[answer.steps] = count + 1, first

    def counts(self) -> dict[str, Any]:
        """What was counted, for JSON."""
        return {
            "images": self.n_images,
            "unlike": self.n_unlike,
            "failed": self.n_failed,
            "steps": [[list(steps), n, first] for steps, (n, first) in self._steps.items()],
        }

    def add_counts(self, counts: dict[str, Any]) -> None:
        """Count what was counted elsewhere.

        Args:
            counts: as `counts` gives them.
        """
        self.n_images += counts["images"]
        self.n_unlike += counts["unlike"]
        self.n_failed += counts["failed"]
        for steps, n, first in counts["steps"]:
            before, named = self._steps.get(tuple(steps), (0, first))
            self._steps[tuple(steps)] = before + n, named

    def lines(self) -> str:
        """Which images are unlike the training images, what was done to them, and what failed."""
        return "\n".join([*self._unlike_lines(), *self._step_lines(), *self._failed_lines()])

    def _unlike_lines(self) -> list[str]:
        if not self.n_unlike:
            return []
        some = f"{self.n_unlike:,} of {self.n_images:,} images {_is(self.n_unlike)}"
        which = "this image is" if self.n_images == 1 else some
        return [
            f"\nWarning: {which} unlike what the model was trained on. However confident the "
            "answer, do not rely on it."
        ]

    def _step_lines(self) -> list[str]:
        if not self._steps:
            return []
        heading = "\nBrought into the form of the training images (--raw leaves this out):"
        of = {
            steps: first if n == 1 else f"{n:,} images" for steps, (n, first) in self._steps.items()
        }
        return [heading, *(f"  {which}: {', '.join(steps)}" for steps, which in of.items())]

    def _failed_lines(self) -> list[str]:
        if not self.n_failed:
            return []
        return [f"\n{self.n_failed:,} of {self.n_images:,} images could not be read."]


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
