"""Settings → Recipe: how each model is trained where the user does not say otherwise.

The small CNN is trained as its first program did, Adam at a constant learning rate. `fast` and
`best` were selected on the validation set only, from what is known to train small networks quickly:

- Muon for the convolutions (K. Jordan et al., "Muon: An optimizer for hidden layers in neural
  networks", 2024), after the network of K. Jordan, "94 % on CIFAR-10 in 3.29 Seconds on a Single
  GPU", 2024, arXiv 2404.00498, which also gives the mirroring of every image in every other epoch;
- a triangular schedule (L. N. Smith and N. Topin, "Super-Convergence", 2017, arXiv 1708.07120);
- skipping half of the easy images (Z. Qin et al., "InfoBatch: Lossless Training Speed Up by
  Unbiased Dynamic Data Pruning", 2023, arXiv 2303.04947);
- label smoothing (C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
  2015, arXiv 1512.00567);
- erasing (Z. Zhong et al., "Random Erasing Data Augmentation", 2017, arXiv 1708.04896).
"""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal

from apparel.core.errors import UsageError

if TYPE_CHECKING:
    from apparel.core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every choice in building and training a model.

    Attributes:
        model_name: the architecture.
        width: channels of the model's first stage; None where the model has one size.
        epochs: passes over the training images.
        batch_size: images in one training step.
        optimizer: "adam", or "muon" for the convolutions with Adam for all else.
        learning_rate: peak learning rate.
        schedule: "constant", or "triangular": up to `learning_rate` in the first tenth of
            training and down to 0 at its end, each in a straight line.
        label_smoothing: the share of each label spread evenly over all classes, in [0, 1).
        weight_averaging: the share of training, at its end, over which weights are averaged.
        patience: epochs to wait for a higher validation accuracy; None trains to the end.
        prune: the share of the easy images that each pass over them leaves out, in [0, 1).
        flip: whether images are mirrored, each in every other pass.
        shift: images move by at most so many pixels each way.
        erase: the share of the images of which a rectangle is filled with noise, in [0, 1].
    """

    model_name: str
    width: int | None
    epochs: int
    batch_size: int
    optimizer: Literal["adam", "muon"]
    learning_rate: float
    schedule: Literal["constant", "triangular"]
    label_smoothing: float
    weight_averaging: float
    patience: int | None = None
    prune: float = 0.0
    flip: bool = False
    shift: int = 0
    erase: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The model and the training time that a budget allows on this machine.

    Attributes:
        model_name: the architecture.
        width: channels of its first stage; None where it has one size.
        images_per_second: that it trains on here and now, about.
        passes: over the training images that the budget should allow.
        seconds: that remain for training after the measurement.
        validation_seconds: of these, what the validation after the last step takes.
    """

    model_name: str
    width: int | None
    images_per_second: float
    passes: float
    seconds: float
    validation_seconds: float

    def __str__(self) -> str:
        """Describe the choice and its reason in one sentence."""
        size = f" at width {self.width}" if self.width else ""
        return (
            f"this machine trains {self.model_name}{size} on about {self.images_per_second:,.0f} "
            f"images a second, {self.passes:.1f} passes over the training images in "
            f"{self.seconds:.0f} s"
        )


_CNN = Recipe(
    model_name="cnn",
    width=None,
    epochs=15,
    batch_size=128,
    optimizer="adam",
    learning_rate=1e-3,
    schedule="constant",
    label_smoothing=0.0,
    weight_averaging=0.1,
)
_FAST = Recipe(
    model_name="fast",
    width=32,
    epochs=5,
    batch_size=512,
    optimizer="muon",
    learning_rate=0.1,
    schedule="triangular",
    label_smoothing=0.1,
    weight_averaging=0.0,
    prune=0.5,
    flip=True,
)
_BEST = replace(_FAST, model_name="best", width=96, epochs=24)
# The first and the last layer of `fast` and `best`, which Adam trains.
STEM, HEAD = "stem", "head"
# The longer training lasts, the more variety it needs, and the less it suffers from it: from so
# many epochs on, by how many pixels images shift, and of how many a rectangle is erased.
_AUGMENTATION = ((14, 1, 0.5), (8, 1, 0.0), (1, 0, 0.0))
# What `cnn` is trained without, as its first program was.
_NOT_OF_CNN = {
    "label_smoothing": "on smoothed labels",
    "flip": "on mirrored images",
    "shift": "on shifted images",
    "erase": "on images with erased parts",
}

RECIPES = {recipe.model_name: recipe for recipe in (_CNN, _FAST, _BEST)}


def check_name(name: str) -> None:
    """Check that a model exists.

    Raises:
        UsageError: it does not.
    """
    if name not in RECIPES:
        raise UsageError(f"there is no model {name!r}. Choose one of: {', '.join(RECIPES)}.")


def check(settings: "Settings") -> None:
    """Check settings against the model's recipe, before anything costs time.

    Raises:
        UsageError: the model does not have what a setting changes.
    """
    # What a budget chooses among differs in size alone.
    recipe_of(replace(settings, model_name="fast") if settings.model_name == "auto" else settings)


def recipe_of(settings: "Settings", plan: Plan | None = None) -> Recipe:
    """Complete a user's settings with the model's recipe.

    Args:
        settings: with a model chosen.
        plan: what the settings' budget buys; its passes count as epochs.

    Raises:
        UsageError: the model does not have what a setting changes.
    """
    name = settings.model_name
    default = RECIPES[name]
    given = {
        field.name: getattr(settings, field.name)
        for field in fields(Recipe)
        if field.name != "model_name" and getattr(settings, field.name, None) is not None
    }
    if default.width is None and "width" in given:
        raise UsageError(f"the model {name} has one size. Leave width out, or choose fast or best.")
    for field, what in _NOT_OF_CNN.items() if default.optimizer == "adam" else ():
        if given.get(field):
            raise UsageError(
                f"the model {name} is not trained {what}. Leave {field} out, or choose fast or "
                "best."
            )
    if default.optimizer == "muon" and given.get("weight_averaging"):
        raise UsageError(
            f"the model {name} keeps batch statistics, which averaged weights do not fit, and its "
            "learning rate falls to 0 instead. Leave weight_averaging out."
        )
    if settings.patience is not None:
        given["weight_averaging"] = 0.0
    if plan:
        given["epochs"] = max(round(plan.passes), 1)
    complete = replace(default, **given)
    if default.optimizer == "adam":
        return complete
    shift, erase = next((s, e) for least, s, e in _AUGMENTATION if complete.epochs >= least)
    return replace(complete, **{"shift": shift, "erase": erase, **given})
