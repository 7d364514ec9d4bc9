"""What the stages hand to each other: frozen records, checked where they are made.

No stage imports another; each takes and gives the records defined here.
"""

from apparel.records.check import CheckedImage, CopiedImage, DataCheck, SplitName
from apparel.records.comparison import (
    SIGNIFICANCE,
    Difference,
    GroupComparison,
    PairComparison,
    TestedRun,
)
from apparel.records.data import (
    ARRAYS,
    Dataset,
    Files,
    ImageList,
    Splits,
    source_name,
    without_folders,
)
from apparel.records.duplicates import Duplicates
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
from apparel.records.export import Comparison, Exported, Precision
from apparel.records.finding import Evidence, Finding, Topic
from apparel.records.novelty import Novelty
from apparel.records.prediction import Answer, FailedImage, Images, Prediction
from apparel.records.report import Report
from apparel.records.robustness import Attack, CorruptionCurve, Robustness
from apparel.records.saliency import Saliency
from apparel.records.seeds import SeedsResult, Spread
from apparel.records.suspects import LabelSuspects
from apparel.records.training import History
from apparel.records.tuning import Trial, TrialState, best_trial
from apparel.records.unusual import Unusual

__all__ = [
    "ARRAYS",
    "SIGNIFICANCE",
    "UNCALIBRATED",
    "Abstention",
    "Answer",
    "Attack",
    "Calibration",
    "CheckedImage",
    "ClassScores",
    "Comparison",
    "CopiedImage",
    "CorruptionCurve",
    "DataCheck",
    "Dataset",
    "Difference",
    "Duplicates",
    "Evaluation",
    "Evidence",
    "Exported",
    "FailedImage",
    "Files",
    "Finding",
    "GroupComparison",
    "History",
    "ImageList",
    "Images",
    "Interval",
    "LabelSuspects",
    "Novelty",
    "PairComparison",
    "Precision",
    "Prediction",
    "Reliability",
    "ReliabilityBin",
    "Report",
    "Robustness",
    "Saliency",
    "SeedsResult",
    "SplitName",
    "Splits",
    "Spread",
    "TestedRun",
    "Topic",
    "Trial",
    "TrialState",
    "Unusual",
    "best_trial",
    "source_name",
    "without_folders",
]
