"""Hand-made records to tell and to draw."""

import numpy as np

from apparel.core.records import (
    Attack,
    CorruptionCurve,
    Finding,
    History,
    Interval,
    LabelIssues,
    Prediction,
    Report,
    Robustness,
    Saliency,
)


def label_issues(m, names=("Shirt", "Coat", "Bag"), *, split="test", n_images=100):
    """Every other image, the last first: each class may be the next one."""
    return LabelIssues(
        split=split,
        n_images=n_images,
        class_names=names,
        indices=np.arange(m)[::-1] * 2,
        given=np.arange(m) % 3,
        suggested=(np.arange(m) + 1) % 3,
        label_quality=np.linspace(0, 0.4, m),
    )


def robustness(*names):
    """An accuracy of 90 % that the second strength of each corruption, and an attack, destroy."""
    share = Interval(0.9, 0.85, 0.93)
    return Robustness(
        n_images=1200,
        accuracy=share,
        curves=tuple(
            CorruptionCurve(
                name=name,
                unit="metres",
                strengths=(1, 2.5),
                accuracies=(share, Interval(0.05, 0, 1)),
            )
            for name in names
        ),
        attack=Attack(epsilon=0.1, steps=40, n_images=1200, accuracy=Interval(0, 0, 0.01)),
    )


def report_on(evaluation, images, **changes):
    """A report whose words need escaping, on the three worst mistakes of an evaluation."""
    worst = evaluation.worst_mistakes(3)
    maps = np.random.default_rng(0).random((2, len(worst), *images.shape[1:3]), dtype=np.float32)
    values = {
        "title": "cnn on <data> & more",
        "summary": "The model was trained.",
        "headline": "It names some.",
        "findings": [
            Finding(topic="gap", text=f"It costs ${k} & <more>.", advice="Buy less.", weight=1 / k)
            for k in (1, 2, 3, 4)
        ],
        "evaluation": evaluation,
        "train_images": images[:0],
        "test_images": images,
        "history": History(
            history={"loss": (0.5, 0.3), "accuracy": (0.8, 0.9)}, seconds=(1, 1), dtype="float32"
        ),
        "mistakes": [
            Prediction(
                name=f"test image {k}",
                probabilities=evaluation.probabilities[k],
                class_names=evaluation.class_names,
                image=images[k],
                true=int(evaluation.true[k]),
            )
            for k in worst
        ],
        "saliency": Saliency(grad_cam=maps[0], occlusion=maps[1]),
        "label_issues": (),
        "robustness": None,
        "check": None,
        "facts": {"Seed": "0", "Processor": 'A "fast" <one>', "Data": "data, SHA-256 12ab"},
        "command": "apparel run --seed 3",
    }
    return Report(**(values | changes))
