"""A report on any evaluation."""

import numpy as np

from apparel.core.records import Finding, History, Prediction, Report, Saliency


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
