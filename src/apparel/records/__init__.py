"""What the stages hand to each other: frozen records, checked where they are made.

No stage imports another; each takes and gives the records defined here.
"""

from apparel.records.comparison import (
    SIGNIFICANCE,
    Difference,
    GroupComparison,
    PairComparison,
    TestedRun,
)
from apparel.records.data import Dataset, Splits
from apparel.records.evaluation import (
    UNCALIBRATED,
    Abstention,
    Calibration,
    ClassScores,
    Evaluation,
    Interval,
    Reliability,
    ReliabilityBin,
)
from apparel.records.finding import Evidence, Finding, Topic
from apparel.records.prediction import Images, Prediction
from apparel.records.report import Report
from apparel.records.robustness import Attack, CorruptionCurve, Robustness
from apparel.records.saliency import Saliency
from apparel.records.suspects import LabelSuspects
from apparel.records.training import History

__all__ = [
    "SIGNIFICANCE",
    "UNCALIBRATED",
    "Abstention",
    "Attack",
    "Calibration",
    "ClassScores",
    "CorruptionCurve",
    "Dataset",
    "Difference",
    "Evaluation",
    "Evidence",
    "Finding",
    "GroupComparison",
    "History",
    "Images",
    "Interval",
    "LabelSuspects",
    "PairComparison",
    "Prediction",
    "Reliability",
    "ReliabilityBin",
    "Report",
    "Robustness",
    "Saliency",
    "Splits",
    "TestedRun",
    "Topic",
]
