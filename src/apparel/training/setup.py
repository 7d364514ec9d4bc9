"""What a training is made of, beside the model."""

from dataclasses import dataclass

from apparel.core.checkpointable import Stateful
from apparel.core.image_array import take
from apparel.core.records import Splits
from apparel.core.settings import Plan, Recipe, Settings
from apparel.training.augmentation import TrainingBatches
from apparel.training.callbacks.averaging import WeightAverage
from apparel.training.callbacks.base import Listener
from apparel.training.callbacks.early_stopping import EarlyStopping
from apparel.training.callbacks.epoch_log import EpochLog
from apparel.training.infobatch import LossFeedback, LossReader
from apparel.training.learning_rate import Course, StepCourse, TimeCourse, TriangularSchedule
from apparel.training.progress_bar import epoch_reporter

# Keras's fit wants a number of epochs; where time ends training, one that is never reached.
MOST_EPOCHS = 1_000_000


@dataclass(frozen=True)
class TrainingParts:
    """What a training is made of; None where its recipe has no use for a part.

    Attributes:
        epochs: after which it ends at the latest.
        steps: of an epoch.
        course: how far it has come.
        batches: of images.
        log: what it measured.
        losses: of each image, for the choice of those that a pass skips.
        schedule: of the step size.
        average: of the last weights.
        stopping: where it no longer gets better.
    """

    epochs: int
    steps: int
    course: Course
    batches: TrainingBatches
    log: EpochLog
    losses: LossFeedback | None
    schedule: TriangularSchedule | None
    average: WeightAverage | None
    stopping: EarlyStopping | None

    @property
    def listeners(self) -> list[Listener]:
        """What is told of steps and epochs, in this order."""
        reader = LossReader(self.losses, self.course) if self.losses else None
        every = (self.log, reader, self.schedule, self.average, self.stopping)
        return [listener for listener in every if listener]

    @property
    def stateful(self) -> dict[str, Stateful]:
        """What checkpoints hold."""
        every: dict[str, Stateful | None] = {
            "course": self.course,
            "batches": self.batches,
            "losses": self.losses,
            "average": self.average,
            "stopping": self.stopping,
        }
        return {name: part for name, part in every.items() if part}

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to train."""
        return self.log.is_over or (self.stopping is not None and self.stopping.is_over)

    def close(self) -> None:
        """Let go of the thread that draws, and of the terminal."""
        if self.losses:
            self.losses.close()
        self.log.close()


def training_parts(
    splits: Splits, settings: Settings, recipe: Recipe, plan: Plan | None
) -> TrainingParts:
    """Make the parts that a recipe needs.

    Args:
        splits: images, labels, and which of them are trained on.
        settings: give the seed.
        recipe: all else.
        plan: end when its time is up instead of after the recipe's epochs.
    """
    steps = _steps(len(splits.training), recipe)
    course = _course(recipe, plan, steps)
    losses = LossFeedback(len(splits.training)) if recipe.prune else None
    batches = TrainingBatches(
        take(splits.train_images, splits.training),
        splits.train_labels[splits.training],
        recipe,
        seed=settings.seed,
        course=course,
        feedback=losses,
        class_weights=splits.class_weights,
    )
    epochs = None if plan else recipe.epochs
    rising_and_falling = recipe.schedule == "triangular"
    return TrainingParts(
        epochs=epochs or MOST_EPOCHS,
        steps=steps,
        course=course,
        batches=batches,
        log=EpochLog(course, batches, epoch_reporter(epochs), epochs),
        losses=losses,
        schedule=TriangularSchedule(course, recipe.learning_rate) if rising_and_falling else None,
        average=WeightAverage(course, share=recipe.weight_averaging)
        if recipe.weight_averaging
        else None,
        stopping=EarlyStopping(recipe.patience) if recipe.patience is not None else None,
    )


def _course(recipe: Recipe, plan: Plan | None, steps: int) -> Course:
    """How far training goes: so many epochs, or as long as a plan says."""
    if plan is None:
        return StepCourse(recipe.epochs * steps)
    course = TimeCourse(plan.seconds, plan.passes * steps)
    course.set_aside(plan.validation_seconds)
    return course


def _steps(n_images: int, recipe: Recipe) -> int:
    """Training steps in an epoch, as if no image were skipped.

    Without pruning, the last one of an epoch may be smaller.
    """
    if recipe.prune:
        return max(n_images // recipe.batch_size, 1)
    return -(-n_images // recipe.batch_size)
