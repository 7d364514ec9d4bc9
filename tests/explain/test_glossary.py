import math

from sklearn.metrics import balanced_accuracy_score, brier_score_loss

from apparel.evaluation.intervals import wilson_interval
from apparel.explain.glossary import METRICS_EXPLAINED

TEXTS = dict(METRICS_EXPLAINED)


def percent(share, digits=0):
    return f"{100 * share:.{digits}f} %"


def test_the_numbers_in_the_explanations_are_right():
    precision, recall = 0.1, 1.0
    assert percent(2 * precision * recall / (precision + recall)) in TEXTS["F1"]
    assert f"counts {-math.log(0.9):.1f}" in TEXTS["log loss"]
    assert f"counts {-math.log(0.01):.1f}" in TEXTS["log loss"]
    true = ["shirt"] * 100 + ["bag"] * 10
    named = ["shirt"] * 90 + ["bag"] * 15 + ["shirt"] * 5
    right = sum(t == n for t, n in zip(true, named, strict=True)) / 110
    assert f"the accuracy is {percent(right)}" in TEXTS["balanced accuracy"]
    balanced = balanced_accuracy_score(true, named)
    assert f"balanced accuracy {percent(balanced)}" in TEXTS["balanced accuracy"]
    brier = brier_score_loss(["coat"], [[0.8, 0.2]], labels=["coat", "shirt"], scale_by_half=False)
    assert f"= {brier:.2f}." in TEXTS["Brier score"]
    interval = wilson_interval(90, 100)
    assert (
        f"{percent(interval.low, 1)} to {percent(interval.high, 1)}"
        in (TEXTS["confidence interval"])
    )
    assert f"{percent(88 / 90, 1)} of its answers" in TEXTS["abstaining"]
